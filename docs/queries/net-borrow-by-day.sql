-- What was borrowed from each market each day, and what was paid back?
SELECT
    blockchain, venue_id, symbol, CAST(block_time AS DATE) AS day,
    round(sum(amount) FILTER (amount > 0), 4) AS borrowed,
    round(-sum(amount) FILTER (amount < 0), 4) AS repaid,
    round(sum(amount), 4) AS net
FROM public.lending_borrow
GROUP BY ALL
ORDER BY blockchain, venue_id, symbol, day
