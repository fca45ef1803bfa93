-- What other systems said of the collateral that escrows hold for them: each signed document as it came, and one row an account.
CREATE TABLE liability_document (
    digest VARCHAR NOT NULL,
    venue_id VARCHAR NOT NULL,
    as_of BIGINT NOT NULL,
    key BLOB NOT NULL,
    received_at BIGINT NOT NULL,
    envelope VARCHAR NOT NULL
);

CREATE TABLE liability (
    chain_id VARCHAR NOT NULL,
    venue_id VARCHAR NOT NULL,
    owner BLOB NOT NULL,
    as_of BIGINT NOT NULL,
    initial_requirement_usd DECIMAL(23, 8) NOT NULL,
    maintenance_requirement_usd DECIMAL(23, 8) NOT NULL,
    pnl_usd DECIMAL(23, 8) NOT NULL,
    key BLOB NOT NULL,
    digest VARCHAR NOT NULL
);

CREATE VIEW public.fct_liability AS
SELECT
    l.venue_id, l.chain_id,
    main.written(l.chain_id, l.owner) AS owner_address,
    make_timestamp(l.as_of * 1000000) AS as_of,
    l.initial_requirement_usd, l.maintenance_requirement_usd, l.pnl_usd,
    lower(hex(l.key)) AS signing_key,
    l.digest AS document_digest,
    make_timestamp(d.received_at * 1000000) AS received_at
FROM main.liability AS l
LEFT JOIN main.liability_document AS d ON d.digest = l.digest AND d.key = l.key;
COMMENT ON VIEW public.fct_liability IS 'Everything that other systems ever said of the collateral that a venue holds for them, an account and a moment a row; the newest as_of of an account is what counts.';
COMMENT ON COLUMN public.fct_liability.venue_id IS 'Venue in dim_venue that holds the collateral';
COMMENT ON COLUMN public.fct_liability.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.fct_liability.owner_address IS 'Whose collateral it is';
COMMENT ON COLUMN public.fct_liability.as_of IS 'Moment of which the document speaks, UTC';
COMMENT ON COLUMN public.fct_liability.initial_requirement_usd IS 'Collateral that its positions need to be opened, in USD, exact';
COMMENT ON COLUMN public.fct_liability.maintenance_requirement_usd IS 'Collateral that its positions need not to be liquidated, in USD, exact';
COMMENT ON COLUMN public.fct_liability.pnl_usd IS 'What its positions have won, or lost if negative, in USD, exact';
COMMENT ON COLUMN public.fct_liability.signing_key IS 'Ed25519 public key that signed the document, in hex';
COMMENT ON COLUMN public.fct_liability.document_digest IS 'sha256: and the hash of the canonical JSON of the document';
COMMENT ON COLUMN public.fct_liability.received_at IS 'When the document came in, UTC';
