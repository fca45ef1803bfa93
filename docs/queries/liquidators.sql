-- Who liquidates, and how much?
SELECT liquidator, count(*) AS liquidations, count(DISTINCT borrower) AS borrowers, min(block_time) AS first, max(block_time) AS last
FROM public.lending_liquidation
GROUP BY liquidator
ORDER BY liquidations DESC, liquidator
LIMIT 20
