-- What did each feed say last, and when?
SELECT
    f.asset_id, f.kind, f.feed_address, f.heartbeat_seconds,
    arg_max(p.answer_raw, (p.block_number, p.ordinal)) AS answer_raw,
    f.answer_decimals,
    max(p.updated_at) AS updated_at
FROM public.dim_feed AS f
LEFT JOIN public.fct_price AS p ON p.chain_id = f.chain_id AND p.source_address = f.source_address
GROUP BY ALL
ORDER BY f.asset_id, f.feed_address
