DELETE FROM {table} AS t USING staged AS s WHERE t.chain_id = $chain_id AND {match}
