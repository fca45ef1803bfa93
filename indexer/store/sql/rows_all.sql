SELECT * EXCLUDE (chain_id) FROM {table} WHERE chain_id = $chain_id
