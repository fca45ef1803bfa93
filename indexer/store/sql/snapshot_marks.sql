INSERT INTO snapshot_mark BY NAME
SELECT $snapshot_id AS snapshot_id, identity, low_usd, mid_usd, high_usd, state, feeds FROM read_parquet($path)
