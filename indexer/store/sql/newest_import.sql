-- The number of the last import of either kind, 0 before the first.
SELECT coalesce(max(number), 0)
FROM (SELECT max(import_number) AS number FROM price_day UNION ALL SELECT max(import_number) FROM liquidity)
