INSERT INTO snapshot_unit BY NAME
SELECT
    $snapshot_id AS snapshot_id, venue_id, protocol, chain_id, unit_id, owner, status, health_factor, has_debt, liquidatable, reasons
FROM read_parquet($path)
