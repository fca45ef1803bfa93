-- Which were the largest deposits of each token?
SELECT blockchain, venue_id, symbol, amount, on_behalf_of, block_time, tx_hash
FROM public.lending_supply
WHERE transaction_type = 'deposit'
QUALIFY row_number() OVER (PARTITION BY blockchain, venue_id, token_address ORDER BY amount_raw DESC, block_number, evt_index) <= 3
ORDER BY blockchain, venue_id, symbol, amount DESC
