-- Raw: what nodes said, as said. Order, one transaction with the cursor and a duplicate check stand in for keys.
CREATE TABLE evm_block (
    chain_id VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    hash BLOB NOT NULL,
    parent_hash BLOB NOT NULL,
    time BIGINT NOT NULL
);

CREATE TABLE evm_log (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    tx_hash BLOB NOT NULL,
    address BLOB NOT NULL,
    topic0 BLOB,
    topic1 BLOB,
    topic2 BLOB,
    topic3 BLOB,
    data BLOB NOT NULL
);

-- Every answer that a derived row rests on and that no log of its own block carries. `method` is eth_call (`input` = calldata) or state
-- (the same, where `unavailable` is an answer: no node had the state of the block any more) or last_log
-- (`input` = topic0; `output` = the last such log of `address` before the block, as JSON) or first_log (the first such log from the block on
-- that names `address`) or code_before (the code of `address` before the block) or check (`input` = calldata; `output` = what is wrong with the answer beside the journals, nothing if it is right);
-- `outcome` is returned, reverted, absent or unavailable.
CREATE TABLE evm_read (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    method VARCHAR NOT NULL,
    address BLOB NOT NULL,
    input BLOB NOT NULL,
    outcome VARCHAR NOT NULL,
    output BLOB NOT NULL
);

CREATE TABLE coverage (
    chain_id VARCHAR NOT NULL,
    interest VARCHAR NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    level VARCHAR NOT NULL,
    evidence VARCHAR NOT NULL
);

CREATE TABLE cursor (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    block_parent_hash BLOB NOT NULL,
    block_time BIGINT NOT NULL,
    finalized_number BIGINT NOT NULL
);

CREATE TABLE quarantine (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    venue_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    word BLOB NOT NULL
);

-- Journals: append-only, the value after the change; an as-of read is "last row at or before the block", a rewind is "delete above the fork".
CREATE TABLE position_change (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    venue_id VARCHAR NOT NULL,
    unit_id BLOB NOT NULL,
    owner BLOB NOT NULL,
    market BLOB NOT NULL,
    side VARCHAR NOT NULL,
    asset BLOB NOT NULL,
    amount_raw DECIMAL(38, 0) NOT NULL,
    engine_version VARCHAR NOT NULL,
    basis VARCHAR NOT NULL
);

CREATE TABLE market_change (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    venue_id VARCHAR NOT NULL,
    market BLOB NOT NULL,
    aspect VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    basis VARCHAR NOT NULL
);

CREATE TABLE account_change (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    venue_id VARCHAR NOT NULL,
    unit_id BLOB NOT NULL,
    owner BLOB NOT NULL,
    market BLOB NOT NULL,
    aspect VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    basis VARCHAR NOT NULL
);

CREATE TABLE price_observation (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    source BLOB NOT NULL,
    answer_raw DECIMAL(38, 0) NOT NULL,
    round_id DECIMAL(38, 0) NOT NULL,
    updated_at BIGINT NOT NULL,
    basis VARCHAR NOT NULL
);

CREATE TABLE lending_event (
    chain_id VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    tx_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    market BLOB NOT NULL,
    owner BLOB NOT NULL,
    counterparty BLOB,
    asset BLOB NOT NULL,
    amount_raw DECIMAL(38, 0) NOT NULL,
    extra VARCHAR NOT NULL
);

-- Tips: the last journal row of every key, kept in the same transaction.
CREATE TABLE position_current AS FROM position_change LIMIT 0;
CREATE TABLE market_current AS FROM market_change LIMIT 0;
CREATE TABLE account_current AS FROM account_change LIMIT 0;
CREATE TABLE price_current AS FROM price_observation LIMIT 0;

-- What the configuration names, so that SQL and documents can name it too.
CREATE TABLE chain (chain_id VARCHAR NOT NULL, name VARCHAR NOT NULL, finality VARCHAR NOT NULL, start_block BIGINT NOT NULL);
CREATE TABLE venue (
    venue_id VARCHAR NOT NULL, protocol VARCHAR NOT NULL, chain_id VARCHAR NOT NULL, address BLOB NOT NULL, start_block BIGINT NOT NULL
);
CREATE TABLE feed (
    asset_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, chain_id VARCHAR NOT NULL, address BLOB NOT NULL,
    heartbeat_s BIGINT NOT NULL, deviation DOUBLE NOT NULL
);
CREATE TABLE asset (asset_id VARCHAR NOT NULL, symbol VARCHAR, class VARCHAR NOT NULL, same_as VARCHAR);
CREATE TABLE margin_account (account_id VARCHAR NOT NULL, member VARCHAR NOT NULL);

-- Answers that were given, and what they were computed from.
CREATE TABLE health_input (digest VARCHAR NOT NULL, account_id VARCHAR NOT NULL, document VARCHAR NOT NULL);
CREATE TABLE snapshot (
    snapshot_id VARCHAR NOT NULL, schedule VARCHAR NOT NULL, slot_time BIGINT NOT NULL, state VARCHAR NOT NULL, cut VARCHAR NOT NULL,
    path VARCHAR NOT NULL, manifest_hash VARCHAR NOT NULL, created_at BIGINT NOT NULL, detail VARCHAR NOT NULL
);
