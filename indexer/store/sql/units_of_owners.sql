-- Units that some owners had at some time: whether they still have them is decided by their last row.
WITH found AS MATERIALIZED (
    SELECT unit_id, owner FROM {positions}
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {among}
    UNION ALL
    SELECT unit_id, owner FROM {accounts}
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {among}
)
SELECT DISTINCT unit_id FROM found WHERE {exactly}
