INSERT INTO {table} SELECT $chain_id AS chain_id, * FROM staged
