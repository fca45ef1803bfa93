SELECT source, answer_raw FROM price_current WHERE chain_id = $chain_id
