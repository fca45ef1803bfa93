-- Where contracts begin whose first block the configuration leaves open ("auto"): `start_block` is the first block after which there is code at
-- `address`, or the one below which nothing was asked; `evidence` says how it was found. What is found once is never looked for again.
CREATE TABLE found_start (
    chain_id VARCHAR NOT NULL,
    address BLOB NOT NULL,
    start_block BIGINT NOT NULL,
    evidence VARCHAR NOT NULL,
    PRIMARY KEY (chain_id, address)
);

CREATE OR REPLACE MACRO written(chain_id, raw) AS
    CASE
        WHEN starts_with(chain_id, 'solana:') THEN main.base58(raw)
        WHEN octet_length(raw) <> 20 AND starts_with(lower(hex(raw)), '736c697034343a') THEN decode(raw)
        ELSE '0x' || lower(hex(raw))
    END;
COMMENT ON MACRO written IS 'written(chain_id, raw): an address, id or hash as its chain writes it: base 58, or 0x and lower-case hex; a coin as slip44:60.';
