-- What was open at a venue's chain after an earlier block?
SELECT venue_id, symbol, side, count(*) AS positions, sum(protocol_raw) AS protocol_raw
FROM public.fct_position_at(
    (SELECT min(chain_id) FROM public.fct_position_change),
    (SELECT median(block_number) FROM public.fct_position_change WHERE chain_id = (SELECT min(chain_id) FROM public.fct_position_change))
)
GROUP BY ALL
ORDER BY venue_id, symbol, side
