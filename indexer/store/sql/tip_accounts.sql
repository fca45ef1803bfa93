SELECT c.unit_id, c.market, c.aspect, c.state FROM account_current AS c
SEMI JOIN staged AS s ON c.unit_id = s.unit_id AND c.market = s.market AND c.aspect = s.aspect
WHERE c.chain_id = $chain_id AND c.venue_id = $venue_id
