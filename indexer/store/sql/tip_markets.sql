SELECT market, aspect, state FROM market_current WHERE chain_id = $chain_id AND venue_id = $venue_id
