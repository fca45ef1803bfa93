-- How many positions does each market have, and how large are they in the protocol's own units?
SELECT chain_id, venue_id, symbol, side, count(*) AS positions, sum(protocol_raw) AS protocol_raw
FROM public.fct_position
GROUP BY ALL
ORDER BY chain_id, venue_id, symbol, side
