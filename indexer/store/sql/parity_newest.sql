-- The last line of each venue.
SELECT
    chain_id, checked_at, block_number, block_hash, venue_id, units, equal, different, unanswered, unknown, round, last_unit, standing
FROM parity_run
QUALIFY row_number() OVER (PARTITION BY chain_id, venue_id ORDER BY checked_at DESC, rowid DESC) = 1
ORDER BY chain_id, venue_id
