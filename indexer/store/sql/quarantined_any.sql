-- Whether anything of a venue is in quarantine up to a block.
SELECT 1 FROM quarantine WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number LIMIT 1
