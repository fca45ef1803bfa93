-- The next units of a venue behind one, in the order of their ids: all that anything was noted of up to a block.
SELECT unit_id FROM (
    SELECT unit_id FROM {positions} WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
    UNION
    SELECT unit_id FROM {accounts} WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number
)
WHERE $after IS NULL OR unit_id > $after
ORDER BY unit_id LIMIT $count
