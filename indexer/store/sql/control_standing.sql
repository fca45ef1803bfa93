-- How many checks of a venue stand at each outcome, by the newest of each.
SELECT outcome, count(*) AS checks FROM (
    SELECT outcome FROM {table} WHERE chain_id = $chain_id AND venue_id = $venue_id
    QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY block_number DESC, checked_at DESC) = 1
)
GROUP BY outcome ORDER BY outcome
