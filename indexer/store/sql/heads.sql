SELECT chain_id, block_number, block_hash, finalized_number FROM cursor ORDER BY chain_id
