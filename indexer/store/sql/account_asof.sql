SELECT
    unit_id, market, aspect,
    arg_max(owner, place) AS owner,
    arg_max(state, place) AS state,
    max(place) AS place
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM {source})
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which}
GROUP BY unit_id, market, aspect ORDER BY unit_id, market, aspect
