-- The stored block in the middle of those between two heights.
SELECT number, hash, parent_hash, time FROM block
WHERE chain_id = $chain_id AND number > $low AND number < $high
ORDER BY number LIMIT 1 OFFSET (
    SELECT count(*) // 2 FROM block WHERE chain_id = $chain_id AND number > $low AND number < $high
)
