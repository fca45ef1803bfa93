-- The units of rows, in order, with their tags.
SELECT DISTINCT unit_id, unit_tag FROM ({rows}) ORDER BY unit_id
