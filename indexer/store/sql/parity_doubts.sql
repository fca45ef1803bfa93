-- Differences that hold at a block: found at or after it and not equal since, up to the next check that was equal again.
SELECT d.chain_id, d.checked_at, d.block_number, d.block_hash, d.venue_id, d.unit_id, d.view, d.contract, d.market, d.ours, d.theirs, d.outcome
FROM parity_check AS d
LEFT JOIN parity_check AS e
    ON e.chain_id = d.chain_id AND e.venue_id = d.venue_id AND e.unit_id = d.unit_id AND e.view = d.view AND e.contract = d.contract
    AND e.market = d.market AND e.outcome = 'equal'
WHERE d.chain_id = $chain_id AND d.outcome = 'different' AND CASE
    WHEN e.block_number IS NULL THEN true
    WHEN e.block_number < d.block_number THEN e.block_number < $number
    ELSE d.block_number <= $number AND $number < e.block_number
END
ORDER BY d.venue_id, d.unit_id, d.view, d.market
