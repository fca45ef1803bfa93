-- The keys of rows within a unit in order, with their numbers.
SELECT market, side, row_number() OVER (ORDER BY market, side) - 1 AS number
FROM (SELECT DISTINCT market, side FROM ({rows})) ORDER BY number
