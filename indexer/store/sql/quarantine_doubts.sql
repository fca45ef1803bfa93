-- Venues of which something is in quarantine that may have changed a number: not history, not an amount that its unit remembers as too wide,
-- and not the word of a price source that a log names: that source alone has no answer then (`price_odd`).
SELECT DISTINCT venue_id FROM quarantine AS q
WHERE chain_id = $chain_id AND block_number <= $number AND reason <> 'exceeds_decimal38:lending_event' AND NOT starts_with(reason, 'event_too_wide:')
AND NOT (reason = 'exceeds_decimal38:position_change' AND EXISTS (
    SELECT 1 FROM account_change AS a
    WHERE a.chain_id = q.chain_id AND a.venue_id = q.venue_id AND a.block_number = q.block_number AND a.ordinal = q.ordinal
    AND starts_with(a.aspect, 'wide_amount')
))
AND NOT (q.venue_id = 'feeds' AND EXISTS (
    SELECT 1 FROM evm_log AS l WHERE l.chain_id = q.chain_id AND l.block_number = q.block_number AND l.log_index = q.ordinal
))
ORDER BY venue_id
