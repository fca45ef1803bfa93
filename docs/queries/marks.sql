-- At what prices was everything valued, and how far are the ends of each apart?
SELECT snapshot_id, identity, state, mid_usd_exact AS mid_usd, round((high_usd - low_usd) / mid_usd * 10000, 1) AS width_bps
FROM public.fct_mark
ORDER BY snapshot_id, identity
