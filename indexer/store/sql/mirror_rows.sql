SELECT * EXCLUDE (chain_id) FROM main.{table} WHERE chain_id = $chain_id AND {block} > $above AND {block} <= $last
