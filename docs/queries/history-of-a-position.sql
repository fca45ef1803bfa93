-- How did the position that changed most often come about?
WITH busiest AS (
    SELECT chain_id, venue_id, unit_id, market_address, side
    FROM public.fct_position_change GROUP BY ALL ORDER BY count(*) DESC, unit_id, market_address, side LIMIT 1
)
SELECT
    c.block_number, c.ordinal, c.protocol_raw,
    c.protocol_raw - lag(c.protocol_raw, 1, 0) OVER (ORDER BY c.block_number, c.ordinal) AS change_raw
FROM public.fct_position_change AS c
INNER JOIN busiest AS l
    ON l.chain_id = c.chain_id AND l.venue_id = c.venue_id AND l.unit_id = c.unit_id
    AND l.market_address = c.market_address AND l.side = c.side
ORDER BY c.block_number, c.ordinal
