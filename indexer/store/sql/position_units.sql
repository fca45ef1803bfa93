-- The units of rows, in order.
SELECT DISTINCT unit_id FROM ({rows}) ORDER BY unit_id
