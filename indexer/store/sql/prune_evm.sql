-- A final block without rows explains nothing; the newest final one stays, for the first block above it to be checked against.
DELETE FROM evm_block AS b
WHERE b.chain_id = $chain_id AND b.number >= $first AND b.number < $last
    AND NOT EXISTS (
        SELECT 1 FROM evm_log AS l
        WHERE l.chain_id = $chain_id AND l.block_number >= $first AND l.block_number < $last AND l.block_number = b.number
    )
    AND NOT EXISTS (
        SELECT 1 FROM evm_read AS r
        WHERE r.chain_id = $chain_id AND r.block_number >= $first AND r.block_number < $last AND r.block_number = b.number
    )
