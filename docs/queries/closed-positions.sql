-- How many positions were opened at each venue, and how many of them are closed by now?
WITH newest AS (
    SELECT chain_id, venue_id, side, arg_max(protocol_raw, (block_number, ordinal)) AS protocol_raw
    FROM public.fct_position_change
    GROUP BY chain_id, venue_id, unit_id, market_address, side
)
SELECT chain_id, venue_id, side, count(*) AS opened, count(*) FILTER (protocol_raw = 0) AS closed
FROM newest
GROUP BY ALL
ORDER BY chain_id, venue_id, side
