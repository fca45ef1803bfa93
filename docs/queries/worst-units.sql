-- Which units are nearest to their own liquidation?
SELECT venue_id, chain_id, owner_address, status, health_factor_exact AS health_factor, liquidatable
FROM public.fct_unit_health
WHERE has_debt
ORDER BY health_factor NULLS FIRST, venue_id, unit_id
LIMIT 50
