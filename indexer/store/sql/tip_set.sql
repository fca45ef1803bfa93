-- The last staged row of every key is its tip.
INSERT INTO {tip}
SELECT $chain_id AS chain_id, * FROM staged
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY block_number DESC, ordinal DESC) = 1
