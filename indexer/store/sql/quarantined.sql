SELECT block_number, tx_index, ordinal, venue_id, reason, word FROM quarantine
WHERE chain_id = $chain_id AND block_number <= $number ORDER BY ALL
