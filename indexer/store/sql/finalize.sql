-- The newest stored block up to the one that the chain calls final: a slot may be empty, and a batch may not reach it yet.
UPDATE cursor SET finalized_number = greatest(
    finalized_number,
    (SELECT coalesce(max(number), -1) FROM block WHERE chain_id = $chain_id AND number <= $number)
)
WHERE chain_id = $chain_id
