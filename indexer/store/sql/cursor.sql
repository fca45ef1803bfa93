SELECT block_number, block_hash, block_parent_hash, block_time, finalized_number FROM cursor WHERE chain_id = $chain_id
