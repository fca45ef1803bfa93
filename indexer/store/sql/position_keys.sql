-- The keys of rows within a unit in order, how many rows each has, and whether one of these names an owner that is not the unit itself.
SELECT market, side, count(*), bool_or(owner <> unit_id) FROM ({rows}) GROUP BY market, side ORDER BY market, side
