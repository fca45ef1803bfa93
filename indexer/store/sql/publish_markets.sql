-- The last state of every aspect of every market up to a block.
SELECT * FROM market_change
WHERE chain_id = $chain_id AND block_number <= $last
QUALIFY row_number() OVER (PARTITION BY venue_id, market, aspect ORDER BY block_number DESC, ordinal DESC) = 1
