SELECT count(*) FROM quarantine WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
