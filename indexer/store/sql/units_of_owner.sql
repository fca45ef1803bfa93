-- Units that this owner had at some time: whether it still has them is decided by their last row.
SELECT unit_id FROM {positions}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND owner = $owner
UNION
SELECT unit_id FROM {accounts}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND owner = $owner
