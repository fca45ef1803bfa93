SELECT number, hash, parent_hash, time FROM block
WHERE chain_id = $chain_id AND number BETWEEN $first AND $last ORDER BY number
