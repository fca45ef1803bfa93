-- Which set of a lake a reader's store holds: one row there, none where chains are indexed.
CREATE TABLE lake_set (set_id VARCHAR NOT NULL, cut_at BIGINT NOT NULL);

CREATE VIEW public.lake_set AS
SELECT set_id, make_timestamp(cut_at * 1000000) AS cut_at FROM main.lake_set;
COMMENT ON VIEW public.lake_set IS 'The set of a lake that everything here is from, on a service that reads a lake; no row where chains are indexed.';
COMMENT ON COLUMN public.lake_set.set_id IS 'The id of the set: its cut-off and the digest of all that it names';
COMMENT ON COLUMN public.lake_set.cut_at IS 'The cut-off, UTC: of every chain all final blocks up to then, and nothing later';
