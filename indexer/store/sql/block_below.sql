-- The newest stored block at or below a height.
SELECT number, hash, parent_hash, time FROM block
WHERE chain_id = $chain_id AND number <= $number ORDER BY number DESC LIMIT 1
