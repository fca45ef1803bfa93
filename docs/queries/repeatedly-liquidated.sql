-- Who was liquidated more than once?
SELECT blockchain, venue_id, borrower, count(*) AS times, max(block_time) AS last
FROM public.lending_liquidation
GROUP BY ALL
HAVING count(*) > 1
ORDER BY times DESC, borrower
LIMIT 50
