SELECT count(*) FROM {table} WHERE chain_id = $chain_id AND outcome = $wrong
