-- The chain of snapshots in the order in which they were made: each manifest names the one before it.
ALTER TABLE main.snapshot ADD COLUMN sequence BIGINT DEFAULT 0;

CREATE OR REPLACE VIEW public.snapshot AS
SELECT
    s.snapshot_id, s.schedule,
    make_timestamp(s.slot_time * 1000000) AS slot_time,
    s.state, s.cut, s.manifest_hash,
    make_timestamp(s.created_at * 1000000) AS created_at,
    s.detail,
    EXISTS (
        SELECT 1 FROM main.restatement AS r
        WHERE s.state = 'done' AND r.changed AND r.restated_at >= s.created_at
            AND r.from_block <= CAST(json_extract_string(json_extract(s.cut, r.chain_id), 'block') AS BIGINT)
    ) AS restated,
    NULLIF(s.sequence, 0) AS sequence
FROM main.snapshot AS s;
COMMENT ON VIEW public.snapshot IS 'Ledger of snapshots: when each was due, what became of it, and the hash of its manifest.';
COMMENT ON COLUMN public.snapshot.snapshot_id IS 'Id of the snapshot';
COMMENT ON COLUMN public.snapshot.schedule IS 'Schedule it belongs to';
COMMENT ON COLUMN public.snapshot.slot_time IS 'When it was due, UTC';
COMMENT ON COLUMN public.snapshot.state IS 'What became of it';
COMMENT ON COLUMN public.snapshot.cut IS 'Block of every chain that it is made at, as JSON';
COMMENT ON COLUMN public.snapshot.manifest_hash IS 'Hash of the manifest, which names the hash of every file';
COMMENT ON COLUMN public.snapshot.created_at IS 'When it was made, UTC';
COMMENT ON COLUMN public.snapshot.detail IS 'What else there is to say, as JSON';
COMMENT ON COLUMN public.snapshot.restated IS 'Whether something up to its cut was found to be otherwise after it was made; the snapshot itself stays as it is';
COMMENT ON COLUMN public.snapshot.sequence IS 'Number in the chain of all that were made, from 1 on; null where none was made, or before there was a chain';
