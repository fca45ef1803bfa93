-- How many checks stand at each outcome, by the newest of each.
SELECT chain_id, venue_id, outcome, count(*) AS checks FROM (
    SELECT chain_id, venue_id, outcome FROM {table}
    QUALIFY row_number() OVER (PARTITION BY chain_id, venue_id, {keys} ORDER BY block_number DESC, checked_at DESC) = 1
)
GROUP BY chain_id, venue_id, outcome ORDER BY chain_id, venue_id, outcome
