-- Of every key of a chain the last row.
INSERT INTO {tip}
SELECT * FROM {journal} WHERE chain_id = $chain_id
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY block_number DESC, ordinal DESC) = 1
