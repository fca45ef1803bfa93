SELECT * EXCLUDE (chain_id) FROM {table} WHERE chain_id = $chain_id AND {key} IN (SELECT unnest($among))
