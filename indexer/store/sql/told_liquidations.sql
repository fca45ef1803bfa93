SELECT e.id, e.place, e.body
FROM event AS e
WHERE
    e.kind = 'liquidation' AND e.chain_id = $chain_id AND e.block_number >= $first
    AND NOT EXISTS (FROM event AS r WHERE r.retracts = e.id)
ORDER BY e.id
