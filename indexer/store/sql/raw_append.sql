-- The same thing said twice is one row.
INSERT INTO {table} BY NAME SELECT DISTINCT $chain_id AS chain_id, * FROM staged ORDER BY {order}
