DELETE FROM {table} WHERE chain_id = $chain_id AND {block} > $number
