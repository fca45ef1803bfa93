SELECT count(*) FROM evm_log
WHERE chain_id = $chain_id AND list_contains($contracts, address) AND block_number <= $number
