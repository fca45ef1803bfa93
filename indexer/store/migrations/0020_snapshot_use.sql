-- Since when each schedule of snapshots was the one in force, in the order in which they were set; nothing is changed or deleted.
CREATE TABLE snapshot_schedule (entry INTEGER PRIMARY KEY, schedule VARCHAR NOT NULL, since BIGINT NOT NULL);

-- What was answered about an account at the tip, and when: as it was sent, whatever the same inputs come to later.
CREATE TABLE health_answer (account_id VARCHAR NOT NULL, served_at BIGINT NOT NULL, digest VARCHAR NOT NULL, document VARCHAR NOT NULL);

CREATE OR REPLACE MACRO public.fct_position_at_time(chain, moment) AS TABLE
SELECT *
FROM public.fct_position_at(
    chain,
    (
        SELECT CASE
            WHEN bool_and(b.time < epoch(CAST(moment AS TIMESTAMP))) THEN error('the chain is not stored up to that moment yet')
            ELSE COALESCE(max(CASE WHEN b.time <= epoch(CAST(moment AS TIMESTAMP)) THEN b.number END), -1)
        END
        FROM main.block AS b WHERE b.chain_id = chain
    )
);
COMMENT ON MACRO TABLE public.fct_position_at_time IS 'fct_position_at_time(chain, moment): fct_position_at the last stored block of a chain up to a moment (UTC); an error where the chain is not stored so far.';

CREATE OR REPLACE VIEW public.fct_health_answer AS
SELECT account_id, make_timestamp(served_at * 1000000) AS served_at, digest AS input_digest, document FROM main.health_answer;
COMMENT ON VIEW public.fct_health_answer IS 'What was answered about accounts at the tip, as it was sent; an answer that was the last one again has no row of its own. The newest 20,000 are kept.';
COMMENT ON COLUMN public.fct_health_answer.account_id IS 'Margin account, or the account or address that was asked about';
COMMENT ON COLUMN public.fct_health_answer.served_at IS 'When it was first answered, UTC';
COMMENT ON COLUMN public.fct_health_answer.input_digest IS 'Hash of the inputs that it was computed from (crossmargin inputs)';
COMMENT ON COLUMN public.fct_health_answer.document IS 'The health document, as JSON';
