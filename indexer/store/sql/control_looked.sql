SELECT 1 FROM control_look
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number = $number AND block_hash = $hash LIMIT 1
