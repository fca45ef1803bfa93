-- The last row of every position at a block, in no order.
SELECT
    unit_id, market, side,
    {owner} AS owner,
    CAST(arg_max(amount_raw, place) AS HUGEINT) AS amount_raw,
    max(place) AS place
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM {source})
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which}
GROUP BY unit_id, market, side
