-- The keys of rows within a unit in order, and how many rows each has.
SELECT market, side, count(*) FROM ({rows}) GROUP BY market, side ORDER BY market, side
