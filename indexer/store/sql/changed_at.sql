-- By market, the blocks in which its own state and anybody's amount in it changed last, up to a block.
SELECT market, max(own), max(held) FROM (
    SELECT market, block_number AS own, -1 AS held FROM market_change
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
    UNION ALL
    SELECT market, -1, block_number FROM position_change
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
)
GROUP BY market ORDER BY market
