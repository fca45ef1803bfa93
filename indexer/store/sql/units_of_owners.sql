-- Units that some owners had at some time: whether they still have them is decided by their last row.
SELECT unit_id FROM {positions}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {whose}
UNION
SELECT unit_id FROM {accounts}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {whose}
