-- How is each venue's own health of every configured margin account?
SELECT a.account_id, h.venue_id, h.chain_id, h.status, h.health_factor_exact AS health_factor
FROM public.dim_account AS a
INNER JOIN public.fct_unit_health AS h ON h.chain_id = a.chain_id AND h.owner_address = a.owner_address
ORDER BY a.account_id, h.venue_id
