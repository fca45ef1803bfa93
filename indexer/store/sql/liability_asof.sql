-- The newest row of each account of a venue up to a moment, of those that somebody signed who may.
SELECT
    chain_id, venue_id, owner, as_of,
    initial_requirement_usd, maintenance_requirement_usd, pnl_usd,
    key, digest
FROM liability
WHERE chain_id = $chain_id AND venue_id = $venue_id AND as_of <= $time AND list_contains($keys, key) AND {which}
QUALIFY row_number() OVER (PARTITION BY owner ORDER BY as_of DESC, key) = 1
ORDER BY owner
