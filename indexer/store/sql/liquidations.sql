SELECT
    e.block_number, b.hash, b.time, e.tx_index, e.ordinal, e.tx_hash, e.venue_id, e.owner, e.counterparty, e.asset,
    e.amount_raw, e.extra, e.basis
FROM lending_event AS e
LEFT JOIN block AS b ON b.chain_id = e.chain_id AND b.number = e.block_number
WHERE e.chain_id = $chain_id AND e.kind = 'liquidation' AND e.block_number >= $first
ORDER BY e.block_number, e.tx_index, e.ordinal
