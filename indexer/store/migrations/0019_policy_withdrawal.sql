-- Policies that were taken back before they counted; their entries stay as they are.
CREATE TABLE policy_withdrawal (
    entry INTEGER PRIMARY KEY,
    withdrawn_at BIGINT NOT NULL,
    who VARCHAR NOT NULL,
    note VARCHAR NOT NULL,
    emergency BOOLEAN NOT NULL
);

CREATE OR REPLACE VIEW public.fct_policy AS
SELECT
    p.entry, p.version, p.digest,
    CASE WHEN p.effective_from = 0 THEN NULL ELSE make_timestamp(p.effective_from * 1000000) END AS effective_from,
    make_timestamp(p.logged_at * 1000000) AS logged_at,
    p.note, p.approved_by, p.who AS logged_by, p.manner, p.emergency, p.canonical AS rules,
    make_timestamp(w.withdrawn_at * 1000000) AS withdrawn_at,
    w.who AS withdrawn_by, w.note AS withdrawal_note
FROM main.policy AS p
LEFT JOIN main.policy_withdrawal AS w ON w.entry = p.entry;
COMMENT ON VIEW public.fct_policy IS 'Every policy of the house that was ever in force or scheduled; the entry with the latest effective_from up to a moment, and of these the last, was in force, unless it was withdrawn before.';
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
COMMENT ON COLUMN public.fct_policy.withdrawn_at IS 'When it was withdrawn, UTC; it never counted then; NULL if it was not';
COMMENT ON COLUMN public.fct_policy.withdrawn_by IS 'User of the system who withdrew it';
COMMENT ON COLUMN public.fct_policy.withdrawal_note IS 'Why it was withdrawn, in the words of who did';
