-- How long was the longest silence of each source, beside its heartbeat?
WITH gaps AS (
    SELECT
        chain_id, source_address,
        epoch(updated_at) - epoch(lag(updated_at) OVER (PARTITION BY chain_id, source_address ORDER BY block_number, ordinal)) AS gap_seconds
    FROM public.fct_price
)
SELECT f.asset_id, g.chain_id, f.heartbeat_seconds, max(g.gap_seconds) AS longest_seconds, max(g.gap_seconds) > f.heartbeat_seconds AS was_late
FROM gaps AS g
INNER JOIN public.dim_feed AS f ON f.chain_id = g.chain_id AND f.source_address = g.source_address
GROUP BY f.asset_id, g.chain_id, f.heartbeat_seconds
ORDER BY longest_seconds DESC NULLS LAST, f.asset_id
