-- The last state of every aspect at a block; `place` orders rows within the chain (block, then ordinal from -1 up).
SELECT market, aspect, arg_max(state, place) AS state
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM {source})
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
GROUP BY market, aspect ORDER BY market, aspect
