-- Whose debt did somebody else repay?
SELECT blockchain, venue_id, owner_address, counterparty_address AS payer, count(*) AS times, sum(amount_raw) AS amount_raw
FROM public.lending_event
WHERE transaction_type = 'repay' AND counterparty_address <> owner_address
GROUP BY ALL
ORDER BY times DESC, owner_address, payer
LIMIT 50
