-- How many views stand at each outcome, by their newest check.
SELECT chain_id, venue_id, outcome, count(*) AS views FROM (
    SELECT chain_id, venue_id, outcome FROM parity_check
    QUALIFY row_number() OVER (PARTITION BY chain_id, venue_id, unit_id, view, contract, market ORDER BY block_number DESC, checked_at DESC) = 1
)
GROUP BY chain_id, venue_id, outcome ORDER BY chain_id, venue_id, outcome
