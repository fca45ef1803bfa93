-- What engines made of the set that a reader holds, where it is exactly of that set, or why there is nothing: one row there, none where chains are indexed.
CREATE TABLE lake_revaluation (
    set_id VARCHAR NOT NULL,
    revaluation VARCHAR,
    book VARCHAR,
    engine VARCHAR,
    version VARCHAR,
    sql VARCHAR,
    policy VARCHAR,
    methodology VARCHAR,
    digest VARCHAR,
    reason VARCHAR
);

CREATE VIEW public.lake_revaluation AS
SELECT
    set_id,
    revaluation AS revaluation_id,
    book AS book_id,
    engine,
    version AS engine_version,
    sql AS sql_digest,
    policy AS policy_version,
    methodology AS methodology_version,
    digest,
    reason
FROM main.lake_revaluation;
COMMENT ON VIEW public.lake_revaluation IS 'What made the margin accounts here, on a service that reads a lake, or why there are none; no row where chains are indexed.';
COMMENT ON COLUMN public.lake_revaluation.set_id IS 'The set that they are of; joins lake_set';
COMMENT ON COLUMN public.lake_revaluation.revaluation_id IS 'The folder of the lake that has them; NULL: there are none, and fct_margin_account is no view here';
COMMENT ON COLUMN public.lake_revaluation.book_id IS 'The book that the engine read, a folder of the lake';
COMMENT ON COLUMN public.lake_revaluation.engine IS 'duckdb, datafusion or spark';
COMMENT ON COLUMN public.lake_revaluation.engine_version IS 'Its version';
COMMENT ON COLUMN public.lake_revaluation.sql_digest IS 'SHA-256 of the SQL that ran, in hex';
COMMENT ON COLUMN public.lake_revaluation.policy_version IS 'Version of the policy in force at the cut-off, NULL where its file names none';
COMMENT ON COLUMN public.lake_revaluation.methodology_version IS 'Version of the methodology';
COMMENT ON COLUMN public.lake_revaluation.digest IS 'SHA-256 of what the folder says of itself and its files, in hex';
COMMENT ON COLUMN public.lake_revaluation.reason IS 'Why there are none; NULL where there are';
