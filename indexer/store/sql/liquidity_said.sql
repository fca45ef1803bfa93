-- What counts of imported liquidity, by identity and day.
SELECT identity, as_of, daily_volume_usd, spread, fee, source, imported_at, digest,
    count(*) OVER (PARTITION BY identity, as_of) - 1 AS corrections, depth
FROM liquidity
QUALIFY row_number() OVER (PARTITION BY identity, as_of ORDER BY import_number DESC) = 1
ORDER BY identity, as_of
