-- The last row of each wanted account up to a slot; found by slot first, so that the bytes of no other row are read.
SELECT a.address, a.slot, a.owner, CAST(a.lamports AS HUGEINT), a.data, a.closed
FROM solana_account AS a
INNER JOIN (
    SELECT h.address, max(h.slot) AS slot FROM solana_account AS h
    SEMI JOIN staged AS s ON h.address = s.address
    WHERE h.chain_id = $chain_id AND h.slot <= $number
    GROUP BY h.address
) AS l ON a.address = l.address AND a.slot = l.slot
WHERE a.chain_id = $chain_id
