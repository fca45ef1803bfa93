-- Which debt tokens do units below a health factor of 1.2 owe?
SELECT p.chain_id, p.venue_id, p.symbol, count(*) AS debts, count(DISTINCT p.owner_address) AS owners
FROM public.fct_unit_health AS h
INNER JOIN public.fct_position AS p
    ON p.chain_id = h.chain_id AND p.venue_id = h.venue_id AND p.unit_id = h.unit_id AND p.side = 'borrow'
WHERE h.health_factor < 1.2
GROUP BY ALL
ORDER BY debts DESC, p.chain_id, p.venue_id, p.symbol
