-- From the newest stored block that is final, or from the first one.
SELECT number, hash, parent_hash, time FROM block
WHERE chain_id = $chain_id AND number >= (
    SELECT coalesce(max(number), 0) FROM block WHERE chain_id = $chain_id AND number <= $finalized
)
ORDER BY number
