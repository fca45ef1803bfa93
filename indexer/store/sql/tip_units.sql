SELECT unit_id FROM position_current WHERE chain_id = $chain_id AND venue_id = $venue_id
UNION
SELECT unit_id FROM account_current WHERE chain_id = $chain_id AND venue_id = $venue_id
