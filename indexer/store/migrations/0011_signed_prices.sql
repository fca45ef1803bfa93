-- A third kind of chain: what endpoints said in one second after another. Where another table says `block_number`, it is the Unix second.
CREATE TABLE pyth_block (
    chain_id VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    hash BLOB NOT NULL,
    parent_hash BLOB NOT NULL,
    time BIGINT NOT NULL
);

-- What an endpoint (`source`, without what could be a key) answered at a Unix second, as said: signed evidence of the prices made of it.
-- A row only where it brought news; `part` numbers what one answer consists of; an empty `body` is an answer without any.
CREATE TABLE observation (
    chain_id VARCHAR NOT NULL,
    fetched_at BIGINT NOT NULL,
    part INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    body BLOB NOT NULL
);

CREATE OR REPLACE VIEW block AS
SELECT chain_id, number, hash, parent_hash, time FROM main.evm_block
UNION ALL
SELECT chain_id, slot AS number, hash, parent_hash, time FROM main.solana_block
UNION ALL
SELECT chain_id, number, hash, parent_hash, time FROM main.pyth_block;
COMMENT ON VIEW block IS 'Every stored block: of the window that can still change, and below it those that something rests on.';
