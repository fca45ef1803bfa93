SELECT number, hash, parent_hash, time FROM block
WHERE chain_id = $chain_id AND time <= $time ORDER BY number DESC LIMIT 1
