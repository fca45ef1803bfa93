-- Of final looks at a venue the first of each 150 slots stays, about one a minute, and with it the block of its head.
DELETE FROM solana_read AS r
WHERE r.chain_id = $chain_id AND r.slot >= $first AND r.slot < $last AND r.method = 'look'
    AND EXISTS (
        SELECT 1 FROM solana_read AS e
        WHERE e.chain_id = $chain_id AND e.method = 'look' AND e.input = r.input
            AND e.slot >= r.slot - r.slot % 150 AND e.slot < r.slot
    )
