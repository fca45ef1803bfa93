-- What of final blocks was read again, or forgotten: a line an interest, never changed.
CREATE TABLE restatement (
    chain_id VARCHAR NOT NULL,
    interest VARCHAR NOT NULL,
    from_block BIGINT NOT NULL,
    to_block BIGINT NOT NULL,
    cause VARCHAR NOT NULL,
    restated_at BIGINT NOT NULL,
    logs_added BIGINT NOT NULL,
    logs_removed BIGINT NOT NULL,
    rows_before BIGINT NOT NULL,
    rows_after BIGINT NOT NULL,
    changed BOOLEAN NOT NULL
);

-- What the rows under a venue's id are of, also while the configuration does not name it; and the feeds of which nothing is missing.
CREATE TABLE indexed_venue AS SELECT venue_id, protocol, chain_id, address, options FROM venue;
CREATE TABLE indexed_feed AS SELECT DISTINCT kind, chain_id, address, feed_id FROM feed;

CREATE VIEW public.restatement AS
SELECT
    chain_id, interest, from_block, to_block, cause,
    make_timestamp(restated_at * 1000000) AS restated_at,
    logs_added, logs_removed, rows_before, rows_after, changed
FROM main.restatement;
COMMENT ON VIEW public.restatement IS 'What was stored of a chain and then replaced or filled in, below blocks that may have been final: an interest and a moment a row.';
COMMENT ON COLUMN public.restatement.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.restatement.interest IS 'What was read again, as fct_coverage calls it; chain: a history that the chain left was forgotten';
COMMENT ON COLUMN public.restatement.from_block IS 'First block that may say something else now';
COMMENT ON COLUMN public.restatement.to_block IS 'Last block that may, included';
COMMENT ON COLUMN public.restatement.cause IS 'Why';
COMMENT ON COLUMN public.restatement.restated_at IS 'When it was done, UTC';
COMMENT ON COLUMN public.restatement.logs_added IS 'Logs that were new, of all interests of that moment together';
COMMENT ON COLUMN public.restatement.logs_removed IS 'Logs that were stored and went, of all interests of that moment together';
COMMENT ON COLUMN public.restatement.rows_before IS 'Derived rows of the interest from from_block on that there were';
COMMENT ON COLUMN public.restatement.rows_after IS 'Derived rows of the interest from from_block on that there are since then';
COMMENT ON COLUMN public.restatement.changed IS 'Whether any derived row of the interest is another one than before';

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
    ) AS restated
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
