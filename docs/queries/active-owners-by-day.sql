-- How many owners act each day?
SELECT CAST(block_time AS DATE) AS day, blockchain, count(DISTINCT owner_address) AS owners, count(*) AS events
FROM public.lending_event
GROUP BY ALL
ORDER BY day, blockchain
