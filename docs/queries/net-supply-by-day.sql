-- What came to each market each day, and what left?
SELECT
    blockchain, venue_id, symbol, CAST(block_time AS DATE) AS day,
    round(sum(amount) FILTER (amount > 0), 4) AS deposited,
    round(-sum(amount) FILTER (amount < 0), 4) AS withdrawn,
    round(sum(amount), 4) AS net
FROM public.lending_supply
GROUP BY ALL
ORDER BY blockchain, venue_id, symbol, day
