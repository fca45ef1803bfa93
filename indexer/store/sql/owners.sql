SELECT DISTINCT owner FROM (
    SELECT unit_id, arg_max(owner, place) AS owner FROM (
        SELECT unit_id, owner, block_number * 4294967296 + ordinal + 1 AS place FROM {positions}
        WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
        UNION ALL
        SELECT unit_id, owner, block_number * 4294967296 + ordinal + 1 AS place FROM {accounts}
        WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
    )
    GROUP BY unit_id
)
ORDER BY owner
