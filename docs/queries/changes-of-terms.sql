-- What did governance change, newest first?
SELECT chain_id, venue_id, block_number, kind, aspect, market_address, state_before, state
FROM public.venue_alert
WHERE NOT is_first
ORDER BY block_number DESC, chain_id, venue_id, kind, aspect
LIMIT 100
