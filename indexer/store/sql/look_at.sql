-- The last look at a venue's accounts up to a slot: its head, and its oldest answer with the time of the last stored block up to that.
SELECT r.slot, r.context_slot, (
    SELECT max(b.time) FROM solana_block AS b
    WHERE b.chain_id = $chain_id AND b.slot <= r.context_slot
)
FROM solana_read AS r
WHERE r.chain_id = $chain_id AND r.method = 'look' AND r.input = $venue_id AND r.slot <= $number
ORDER BY r.slot DESC
LIMIT 1
