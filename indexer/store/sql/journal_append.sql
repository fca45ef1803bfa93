INSERT INTO {journal} SELECT $chain_id AS chain_id, * FROM staged
