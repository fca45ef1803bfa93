-- Do the venues' own totals agree with the sum of what is stored?
SELECT venue_id, market_address, total, ours, theirs, residual, outcome, checked_at
FROM public.fct_venue_total
WHERE is_newest
ORDER BY outcome = 'equal', venue_id, total, market_address
