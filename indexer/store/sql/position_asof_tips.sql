-- The same where few changed since: tips that are not of later, and of the other keys the last row of the journal.
WITH
tip AS (SELECT * FROM position_current WHERE chain_id = $chain_id AND venue_id = $venue_id AND {which}),
later AS (SELECT unit_id, market, side FROM tip WHERE block_number > $number)
SELECT
    unit_id, unit_tag, market, side, owner,
    CAST(amount_raw AS HUGEINT) AS amount_raw,
    block_number * 4294967296 + ordinal + 1 AS place
FROM tip
WHERE block_number <= $number
UNION ALL
SELECT
    unit_id, any_value(unit_tag) AS unit_tag, market, side,
    arg_max(owner, place) AS owner,
    CAST(arg_max(amount_raw, place) AS HUGEINT) AS amount_raw,
    max(place) AS place
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM position_change)
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which}
    AND (unit_id, market, side) IN (FROM later)
GROUP BY unit_id, market, side
