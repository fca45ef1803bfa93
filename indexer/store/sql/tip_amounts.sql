SELECT s.place, c.amount_raw FROM position_current AS c
JOIN staged AS s ON c.unit_id = s.unit_id AND c.market = s.market AND c.side = s.side
WHERE c.chain_id = $chain_id AND c.venue_id = $venue_id
