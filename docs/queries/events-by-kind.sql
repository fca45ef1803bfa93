-- What do people do at each venue?
SELECT blockchain, venue_id, transaction_type, count(*) AS events, count(DISTINCT owner_address) AS owners
FROM public.lending_event
GROUP BY ALL
ORDER BY blockchain, venue_id, events DESC
