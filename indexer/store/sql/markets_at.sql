-- Aspects after a block: tips that were set up to it, and the last row up to it of every key whose tip is later.
WITH later AS (
    SELECT market, aspect FROM market_current
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number > $number
)
SELECT market, aspect, state FROM market_current
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
UNION ALL
SELECT j.market, j.aspect, arg_max(j.state, j.block_number * 4294967296 + j.ordinal + 1) AS state
FROM market_change AS j
SEMI JOIN later AS l ON j.market = l.market AND j.aspect = l.aspect
WHERE j.chain_id = $chain_id AND j.venue_id = $venue_id AND j.block_number <= $number
GROUP BY j.market, j.aspect
