(SELECT 1 FROM price_observation WHERE chain_id = $chain_id LIMIT 1)
UNION ALL
(SELECT 1 FROM market_change WHERE chain_id = $chain_id AND venue_id = $venue_id LIMIT 1)
