-- Rows of positions up to a block, in no order, by the numbers of their cells; `owner`: who is named that is not the unit itself.
-- A cell is a unit (`staged`, with its first cell) and a key within it (`staged_keys`, with its number).
WITH
unit AS MATERIALIZED (SELECT unit_id, unit_tag, first_cell FROM staged),
key AS MATERIALIZED (SELECT market, side, number FROM staged_keys)
SELECT u.first_cell + k.number AS cell, {owner} AS owner, CAST(r.amount_raw AS DECIMAL(38, 0)) AS amount_raw, r.place
FROM ({rows}) AS r
JOIN unit AS u ON {same_unit}
JOIN key AS k ON k.market = r.market AND k.side = r.side
WHERE {which}
