-- What was said of the accounts of a venue at one moment, by those who may say it.
SELECT
    chain_id, venue_id, owner, as_of,
    initial_requirement_usd, maintenance_requirement_usd, pnl_usd,
    key, digest
FROM liability
WHERE chain_id = $chain_id AND venue_id = $venue_id AND as_of = $time AND list_contains($keys, key)
ORDER BY owner, key
