-- Every state of these feeds up to a block, one a block.
SELECT market, block_number, arg_max(state, ordinal) AS state
FROM market_change
WHERE chain_id = $chain_id AND venue_id = $venue_id AND aspect = 'phase' AND block_number <= $number AND list_contains($feeds, market)
GROUP BY market, block_number ORDER BY market, block_number
