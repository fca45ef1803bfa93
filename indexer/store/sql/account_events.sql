WITH member AS (
    SELECT unnest($chains) AS chain_id, unnest($owners) AS owner
)
SELECT
    b.time, e.chain_id, e.block_number, e.tx_index, e.ordinal, e.tx_hash, e.venue_id, e.kind, e.owner, e.counterparty, e.asset,
    e.amount_raw, e.extra, e.basis, m.symbol, m.decimals
FROM lending_event AS e
JOIN member AS o ON o.chain_id = e.chain_id AND o.owner = e.owner
LEFT JOIN block AS b ON b.chain_id = e.chain_id AND b.number = e.block_number
LEFT JOIN market AS m ON m.chain_id = e.chain_id AND m.venue_id = e.venue_id AND m.market = e.asset
WHERE
    (len($kinds) = 0 OR list_contains($kinds, e.kind))
    AND (
        NOT $continued
        OR (coalesce(b.time, 0), e.chain_id, e.block_number, e.tx_index, e.ordinal)
        < ($time, $chain_id, $block_number, $tx_index, $ordinal)
    )
ORDER BY coalesce(b.time, 0) DESC, e.chain_id DESC, e.block_number DESC, e.tx_index DESC, e.ordinal DESC
LIMIT $count
