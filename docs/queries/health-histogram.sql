-- How are health factors spread at each venue?
SELECT
    venue_id,
    CASE
        WHEN health_factor IS NULL THEN 'unknown'
        WHEN health_factor < 1 THEN '1: below 1.0'
        WHEN health_factor < 1.1 THEN '2: 1.0 to 1.1'
        WHEN health_factor < 1.3 THEN '3: 1.1 to 1.3'
        WHEN health_factor < 2 THEN '4: 1.3 to 2.0'
        ELSE '5: 2.0 and more'
    END AS band,
    count(*) AS units
FROM public.fct_unit_health
WHERE has_debt
GROUP BY ALL
ORDER BY venue_id, band
