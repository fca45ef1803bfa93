-- Do venues hold what their suppliers can claim?
SELECT venue_id, asset_address, contract_address, held, owed, claims, shortfall, outcome
FROM public.fct_venue_holding
WHERE is_newest
ORDER BY outcome = 'covered', venue_id, asset_address
