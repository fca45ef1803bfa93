-- History is part of no sum.
SELECT count(*) FROM quarantine WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
AND reason <> 'exceeds_decimal38:lending_event' AND NOT starts_with(reason, 'event_too_wide:')
