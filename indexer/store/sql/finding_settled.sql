DELETE FROM finding WHERE chain_id = $chain_id AND interest = $interest AND block_number BETWEEN $first AND $last
