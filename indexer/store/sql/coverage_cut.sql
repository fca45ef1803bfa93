UPDATE coverage SET last = $number WHERE chain_id = $chain_id AND last > $number
