-- The last row of every position at a block, in no order: it is found by its number in the table, which costs less than to keep what it says.
SELECT
    unit_id, unit_tag, market, side, owner,
    CAST(amount_raw AS HUGEINT) AS amount_raw,
    block_number * 4294967296 + ordinal + 1 AS place
FROM {source}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which} AND rowid IN (
    SELECT arg_max(rowid, block_number * 4294967296 + ordinal + 1)
    FROM {source}
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which}
    GROUP BY unit_id, market, side
)
