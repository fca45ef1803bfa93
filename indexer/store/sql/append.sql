-- One row after the other: in batches, as DuckDB takes Arrow in otherwise, every row is copied twice. Nothing is joined to them.
INSERT INTO {table} SELECT $chain_id AS chain_id, staged.* FROM staged POSITIONAL JOIN (SELECT 0 LIMIT 0) AS nothing
