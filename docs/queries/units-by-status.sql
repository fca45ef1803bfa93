-- How many units of each venue are in which state, and is anything unknown?
SELECT venue_id, protocol, status, count(*) AS units, count(*) FILTER (liquidatable) AS liquidatable
FROM public.fct_unit_health
GROUP BY ALL
ORDER BY venue_id, units DESC
