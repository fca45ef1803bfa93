-- Sums after a block, of all amounts or of the positive ones alone, each amount cut into two parts that no sum of a column outgrows. Tips that were set up to the block are what they were
-- then; a key whose tip is later is looked up in the journal.
WITH later AS (
    SELECT unit_id, market, side FROM position_current
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number > $number
),
amounts AS (
    SELECT market, side, CAST(amount_raw AS HUGEINT) AS amount_raw FROM position_current
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
    UNION ALL
    SELECT j.market, j.side, CAST(arg_max(j.amount_raw, j.block_number * 4294967296 + j.ordinal + 1) AS HUGEINT) AS amount_raw
    FROM position_change AS j
    SEMI JOIN later AS l ON j.unit_id = l.unit_id AND j.market = l.market AND j.side = l.side
    WHERE j.chain_id = $chain_id AND j.venue_id = $venue_id AND j.block_number <= $number
    GROUP BY j.unit_id, j.market, j.side
)
SELECT market, side, sum(amount_raw // $part), sum(amount_raw % $part) FROM amounts
WHERE NOT $positive OR amount_raw > 0
GROUP BY market, side ORDER BY market, side
