-- The last row of every position of some units at a block, in no order. Of a few, rows are found by their tag first: names are read of these alone.
WITH found AS MATERIALIZED (
    SELECT unit_id, market, side, owner, amount_raw, block_number * 4294967296 + ordinal + 1 AS place
    FROM {source}
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {among}
)
SELECT
    unit_id, market, side,
    arg_max(owner, place) AS owner,
    CAST(arg_max(amount_raw, place) AS HUGEINT) AS amount_raw,
    max(place) AS place
FROM found
WHERE {exactly}
GROUP BY unit_id, market, side
