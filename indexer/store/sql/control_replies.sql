SELECT contract, method, input, outcome, output FROM control_reply
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number = $number AND block_hash = $hash
ORDER BY contract, method, input
