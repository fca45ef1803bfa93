-- As `prune_evm`: a second in which nothing new was said goes, the newest stays.
DELETE FROM pyth_block AS b
WHERE b.chain_id = $chain_id AND b.number >= $first AND b.number < $last
    AND NOT EXISTS (
        SELECT 1 FROM observation AS o
        WHERE o.chain_id = $chain_id AND o.fetched_at >= $first AND o.fetched_at < $last AND o.fetched_at = b.number
    )
