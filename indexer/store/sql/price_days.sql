-- What counts of imported days, of one identity or of all.
SELECT identity, day, close, low, high, source, imported_at, digest,
    count(*) OVER (PARTITION BY identity, day) - 1 AS corrections
FROM price_day WHERE {which}
QUALIFY row_number() OVER (PARTITION BY identity, day ORDER BY import_number DESC) = 1
ORDER BY identity, day
