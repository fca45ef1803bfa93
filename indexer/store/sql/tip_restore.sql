-- The keys whose tip lies above the fork get the last row that stays; the tips above are deleted next.
INSERT INTO {tip}
SELECT j.* FROM {journal} AS j
SEMI JOIN (SELECT * FROM {tip} WHERE chain_id = $chain_id AND block_number > $number) AS t ON {match}
WHERE j.chain_id = $chain_id AND j.block_number <= $number
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY j.block_number DESC, j.ordinal DESC) = 1
