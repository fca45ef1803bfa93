SELECT block_number, ordinal FROM {table} WHERE chain_id = $chain_id AND block_number >= $first AND {which}
