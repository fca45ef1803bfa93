-- Whose account a wallet is part of: every message that was taken in, as it came, and every answer of a contract wallet about its signature.
-- Nothing is ever changed or deleted.
CREATE TABLE membership_evidence (
    entry INTEGER PRIMARY KEY,
    digest VARCHAR NOT NULL UNIQUE,
    account_id VARCHAR NOT NULL,
    chain_id VARCHAR NOT NULL,
    wallet BLOB NOT NULL,
    action VARCHAR NOT NULL,
    scheme VARCHAR NOT NULL,
    nonce VARCHAR NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    who VARCHAR NOT NULL,
    note VARCHAR NOT NULL,
    envelope VARCHAR NOT NULL
);

CREATE TABLE membership_check (
    digest VARCHAR NOT NULL,
    chain_id VARCHAR NOT NULL,
    wallet BLOB NOT NULL,
    asked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    block_time BIGINT NOT NULL,
    input BLOB NOT NULL,
    outcome VARCHAR NOT NULL,
    output BLOB NOT NULL,
    is_valid BOOLEAN NOT NULL
);

CREATE OR REPLACE VIEW public.fct_membership AS
SELECT
    e.account_id, e.chain_id,
    main.written(e.chain_id, e.wallet) AS wallet_address,
    e.action, e.scheme, e.nonce,
    make_timestamp(e.issued_at * 1000000) AS issued_at,
    make_timestamp(e.expires_at * 1000000) AS expires_at,
    make_timestamp(e.received_at * 1000000) AS received_at,
    c.checked_block, c.is_valid AS contract_agrees,
    e.note, e.who AS entered_by, e.digest AS evidence_digest
FROM main.membership_evidence AS e
LEFT JOIN (
    SELECT digest, max(block_number) AS checked_block, bool_and(is_valid) AS is_valid
    FROM main.membership_check GROUP BY digest
) AS c ON c.digest = e.digest;
COMMENT ON VIEW public.fct_membership IS 'Every message by which a wallet was linked to a margin account or taken from it, as it was taken in; of a wallet and an account the last one counts.';
COMMENT ON COLUMN public.fct_membership.account_id IS 'Margin account';
COMMENT ON COLUMN public.fct_membership.chain_id IS 'CAIP-2 id of the chain that the message names; a key counts on all chains of its family';
COMMENT ON COLUMN public.fct_membership.wallet_address IS 'The wallet that signed';
COMMENT ON COLUMN public.fct_membership.action IS 'link or revoke';
COMMENT ON COLUMN public.fct_membership.scheme IS 'How it was signed; operator: not at all, the operator revoked it';
COMMENT ON COLUMN public.fct_membership.nonce IS 'What makes the message count once';
COMMENT ON COLUMN public.fct_membership.issued_at IS 'When it was written, as it says, UTC';
COMMENT ON COLUMN public.fct_membership.expires_at IS 'Until when it counts, UTC';
COMMENT ON COLUMN public.fct_membership.received_at IS 'When it was taken in and began to count, UTC';
COMMENT ON COLUMN public.fct_membership.checked_block IS 'Last block at which a contract wallet was asked, NULL of a key';
COMMENT ON COLUMN public.fct_membership.contract_agrees IS 'Whether the contract ever since said that the signature is valid, NULL of a key';
COMMENT ON COLUMN public.fct_membership.note IS 'Why, in the words of the operator';
COMMENT ON COLUMN public.fct_membership.entered_by IS 'User of the system who entered it';
COMMENT ON COLUMN public.fct_membership.evidence_digest IS 'sha256: and the hash of the envelope as it came';
