SELECT digest, chain_id, wallet, asked_at, block_number, block_hash, block_time, input, outcome, output, is_valid
FROM membership_check ORDER BY block_time, asked_at
