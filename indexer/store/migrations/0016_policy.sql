-- Every policy that was ever in force or scheduled, as its file said it; nothing is ever changed or deleted. Of two that count from the same moment on,
-- the later entry does.
CREATE TABLE policy (
    entry INTEGER PRIMARY KEY,
    digest VARCHAR NOT NULL,
    version VARCHAR,
    canonical VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    effective_from BIGINT NOT NULL,
    logged_at BIGINT NOT NULL,
    note VARCHAR NOT NULL,
    approved_by VARCHAR NOT NULL,
    who VARCHAR NOT NULL,
    manner VARCHAR NOT NULL,
    emergency BOOLEAN NOT NULL
);

CREATE OR REPLACE VIEW public.fct_policy AS
SELECT
    entry, version, digest,
    CASE WHEN effective_from = 0 THEN NULL ELSE make_timestamp(effective_from * 1000000) END AS effective_from,
    make_timestamp(logged_at * 1000000) AS logged_at,
    note, approved_by, who AS logged_by, manner, emergency, canonical AS rules
FROM main.policy;
COMMENT ON VIEW public.fct_policy IS 'Every policy of the house that was ever in force or scheduled; the entry with the latest effective_from up to a moment, and of these the last, was in force.';
COMMENT ON COLUMN public.fct_policy.entry IS 'Number of the entry, in the order in which they were made';
COMMENT ON COLUMN public.fct_policy.version IS 'What its file calls it, NULL if nothing';
COMMENT ON COLUMN public.fct_policy.digest IS 'sha256: and the hash of its canonical rules, as health documents and snapshots name it';
COMMENT ON COLUMN public.fct_policy.effective_from IS 'Moment of the first block that is judged by it, UTC; NULL: from the beginning';
COMMENT ON COLUMN public.fct_policy.logged_at IS 'When it was entered, UTC';
COMMENT ON COLUMN public.fct_policy.note IS 'Why, in the words of its file';
COMMENT ON COLUMN public.fct_policy.approved_by IS 'Who approved it, as its file says';
COMMENT ON COLUMN public.fct_policy.logged_by IS 'User of the system who entered it';
COMMENT ON COLUMN public.fct_policy.manner IS 'first: the one that a store began with; scheduled; accepted: taken from the configuration at a start';
COMMENT ON COLUMN public.fct_policy.emergency IS 'Whether the notice of a tightening was passed over';
COMMENT ON COLUMN public.fct_policy.rules IS 'All that decides numbers, as canonical JSON';
