-- What the venues' contracts answered when a snapshot was weighed, as they said it: with it the totals of the snapshot can be weighed again.
CREATE TABLE control_reply (
    chain_id VARCHAR NOT NULL,
    asked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    contract BLOB NOT NULL,
    method VARCHAR NOT NULL,
    input BLOB NOT NULL,
    outcome VARCHAR NOT NULL,
    output BLOB NOT NULL
);

-- Which venues were weighed at which blocks: of these nobody is asked again, whether there was an answer or none.
CREATE TABLE control_look (
    chain_id VARCHAR NOT NULL,
    asked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL
);

-- Which version of a protocol's derivation made the rows of a venue (`feeds`: of a chain's price sources): one more with each change after which
-- the same chain gives other rows. 0: made before this was kept.
CREATE TABLE derived_by (
    chain_id VARCHAR NOT NULL,
    interest VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (chain_id, interest)
);
