-- As `prune_evm`: what explains nothing goes, the newest final block stays.
DELETE FROM solana_block AS b
WHERE b.chain_id = $chain_id AND b.slot >= $first AND b.slot < $last
    AND NOT EXISTS (
        SELECT 1 FROM solana_transaction AS t
        WHERE t.chain_id = $chain_id AND t.slot >= $first AND t.slot < $last AND t.slot = b.slot
    )
    AND NOT EXISTS (
        SELECT 1 FROM solana_account AS a
        WHERE a.chain_id = $chain_id AND a.slot >= $first AND a.slot < $last AND a.slot = b.slot
    )
    AND NOT EXISTS (
        SELECT 1 FROM solana_read AS r
        WHERE r.chain_id = $chain_id AND r.slot >= $first AND r.slot < $last AND r.slot = b.slot
    )
