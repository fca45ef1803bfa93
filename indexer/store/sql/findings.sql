SELECT interest, kind, block_number, block_hash, log_index, tx_hash, address, topic0, evidence FROM finding
WHERE chain_id = $chain_id
ORDER BY block_number, log_index, interest, kind, address
