-- The second kind of network. Where another table says `block_number`, it is the slot.
CREATE TABLE solana_block (
    chain_id VARCHAR NOT NULL,
    slot BIGINT NOT NULL,
    hash BLOB NOT NULL,
    parent_hash BLOB NOT NULL,
    parent_slot BIGINT NOT NULL,
    height BIGINT,
    time BIGINT NOT NULL
);

-- `body` is the transaction with its effects as the node wrote it, JSON.
CREATE TABLE solana_transaction (
    chain_id VARCHAR NOT NULL,
    slot BIGINT NOT NULL,
    tx_index INTEGER NOT NULL,
    signature BLOB NOT NULL,
    block_hash BLOB NOT NULL,
    body VARCHAR NOT NULL
);

-- An account after a slot, a row only where its bytes changed; `closed`: it was not there any more, and the rest is empty.
CREATE TABLE solana_account (
    chain_id VARCHAR NOT NULL,
    slot BIGINT NOT NULL,
    address BLOB NOT NULL,
    owner BLOB NOT NULL,
    lamports DECIMAL(38, 0) NOT NULL,
    data BLOB NOT NULL,
    closed BOOLEAN NOT NULL
);

-- Every other answer that a derived row rests on: `slot` is where it was needed, `context_slot` where the node gave it from.
CREATE TABLE solana_read (
    chain_id VARCHAR NOT NULL,
    slot BIGINT NOT NULL,
    method VARCHAR NOT NULL,
    address BLOB NOT NULL,
    input BLOB NOT NULL,
    context_slot BIGINT NOT NULL,
    outcome VARCHAR NOT NULL,
    output BLOB NOT NULL
);

-- Sources that say how sure they are, and the feeds that listen to them.
ALTER TABLE price_observation ADD COLUMN confidence_raw DECIMAL(38, 0);
ALTER TABLE price_current ADD COLUMN confidence_raw DECIMAL(38, 0);
ALTER TABLE feed ADD COLUMN feed_id BLOB;
ALTER TABLE feed ADD COLUMN max_confidence DOUBLE;

-- What a venue follows beside its address, as JSON; NULL where it was indexed before there were options.
ALTER TABLE venue ADD COLUMN options VARCHAR;

-- Blocks of every kind, for reading.
CREATE VIEW block AS
SELECT chain_id, number, hash, parent_hash, time FROM main.evm_block
UNION ALL
SELECT chain_id, slot AS number, hash, parent_hash, time FROM main.solana_block;
COMMENT ON VIEW block IS 'Every stored block: of the window that can still change, and below it those that something rests on.';

-- Base 58 (Bitcoin's alphabet) of bytes, exact for any length. The number is held in limbs of 58^10 = 430804206899405824, the lowest
-- first. Words of 64 bits are shifted in from the highest: every limb times 2^64, plus what the limb below carries. A byte has less
-- than 1.38 digits.
CREATE MACRO base58_limbs(raw) AS list_reduce(
    list_transform(
        range(0, (length(hex(raw)) + 15) // 16),
        lambda nth_word: [CAST(
            '0x' || substr(repeat('0', 15 - (length(hex(raw)) + 15) % 16) || hex(raw), 16 * nth_word + 1, 16) AS HUGEINT
        )]
    ),
    lambda limbs, word: list_transform(
        list_reduce(
            list_transform(limbs, lambda limb: [limb]),
            lambda sums, limb: list_append(sums, limb[1] * 18446744073709551616 + sums[-1] // 430804206899405824),
            [word[1] * 430804206899405824]
        )[2:],
        lambda total: total % 430804206899405824
    ),
    CAST(repeat([0], octet_length(raw) * 138 // 1000 + 1) AS HUGEINT[])
);
COMMENT ON MACRO base58_limbs IS 'base58_limbs(raw): a big-endian number in limbs of ten base 58 digits each, the lowest first.';

CREATE MACRO base58_digits(limb) AS array_to_string(
    list_transform(
        [7427658739644928, 128063081718016, 2207984167552, 38068692544, 656356768, 11316496, 195112, 3364, 58, 1],
        lambda weight: substr('123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz', limb // weight % 58 + 1, 1)
    ),
    ''
);
COMMENT ON MACRO base58_digits IS 'base58_digits(limb): ten digits, leading 1 (zero) included.';

CREATE MACRO base58(raw) AS
    repeat('1', (length(hex(raw)) - length(ltrim(hex(raw), '0'))) // 2)
    || ltrim(
        array_to_string(
            list_transform(list_reverse(main.base58_limbs(raw)), lambda limb: main.base58_digits(CAST(limb AS BIGINT))), ''
        ),
        '1'
    );
COMMENT ON MACRO base58 IS 'base58(raw): bytes in base 58; a leading zero byte is a leading 1.';

CREATE MACRO written(chain_id, raw) AS
    CASE WHEN starts_with(chain_id, 'solana:') THEN main.base58(raw) ELSE '0x' || lower(hex(raw)) END;
COMMENT ON MACRO written IS 'written(chain_id, raw): an address, id or hash as its chain writes it: base 58, or 0x and lower-case hex.';

-- What a position or an event names as its market or asset, by bytes: joins on written addresses would write them all.
CREATE VIEW market AS
SELECT
    m.chain_id, m.venue_id, m.market, m.state,
    m.state ->> '$.symbol' AS symbol,
    CAST(m.state ->> '$.decimals' AS INTEGER) AS decimals
FROM main.market_current AS m
INNER JOIN main.venue AS v ON v.venue_id = m.venue_id
WHERE (v.protocol = 'aave-v3' AND m.aspect = 'reserve') OR (v.protocol IN ('escrow', 'spl-escrow') AND m.aspect = 'token');
COMMENT ON VIEW market IS 'Every market of every venue in the state that describes its token.';

-- The public views that write addresses or hashes, again: as their chain writes them. No row is touched.
CREATE OR REPLACE VIEW public.dim_chain AS
SELECT
    c.chain_id, c.name, c.finality, c.start_block,
    p.block_number AS indexed_block,
    main.written(c.chain_id, p.block_hash) AS indexed_block_hash,
    make_timestamp(p.block_time * 1000000) AS indexed_block_time,
    CASE WHEN p.finalized_number < 0 THEN NULL ELSE p.finalized_number END AS finalized_block
FROM main.chain AS c LEFT JOIN main.cursor AS p ON p.chain_id = c.chain_id;
COMMENT ON VIEW public.dim_chain IS 'Every configured chain, and how far it is indexed.';
COMMENT ON COLUMN public.dim_chain.chain_id IS 'CAIP-2 id, as eip155:1';
COMMENT ON COLUMN public.dim_chain.name IS 'Name in the configuration';
COMMENT ON COLUMN public.dim_chain.finality IS 'Rule by which blocks count as settled: finalized, confirmed, safe, latest or confirmations:N';
COMMENT ON COLUMN public.dim_chain.start_block IS 'First block (Solana: slot) that is indexed';
COMMENT ON COLUMN public.dim_chain.indexed_block IS 'Last indexed block, NULL before the first one';
COMMENT ON COLUMN public.dim_chain.indexed_block_hash IS 'Hash of the last indexed block';
COMMENT ON COLUMN public.dim_chain.indexed_block_time IS 'Time of the last indexed block, UTC';
COMMENT ON COLUMN public.dim_chain.finalized_block IS 'Newest stored block that cannot change any more, NULL if there is none';

CREATE OR REPLACE VIEW public.dim_venue AS
SELECT
    venue_id, protocol, chain_id,
    main.written(chain_id, address) AS contract_address,
    start_block
FROM main.venue;
COMMENT ON VIEW public.dim_venue IS 'Every configured lending venue.';
COMMENT ON COLUMN public.dim_venue.venue_id IS 'Id in the configuration';
COMMENT ON COLUMN public.dim_venue.protocol IS 'Protocol with its version, as aave-v3';
COMMENT ON COLUMN public.dim_venue.chain_id IS 'CAIP-2 id of the chain it is deployed on';
COMMENT ON COLUMN public.dim_venue.contract_address IS 'Contract or account that names the venue (Aave: the Pool)';
COMMENT ON COLUMN public.dim_venue.start_block IS 'First block that can matter to it';

CREATE OR REPLACE VIEW public.dim_feed AS
SELECT
    f.asset_id, f.kind, f.chain_id,
    main.written(f.chain_id, f.address) AS feed_address,
    f.heartbeat_s AS heartbeat_seconds,
    f.deviation AS deviation_ratio,
    main.written(f.chain_id, unhex(substr(m.state ->> '$.aggregator', 3))) AS source_address,
    CAST(m.state ->> '$.decimals' AS INTEGER) AS answer_decimals,
    '0x' || lower(hex(f.feed_id)) AS feed_id,
    f.max_confidence AS max_confidence_ratio
FROM main.feed AS f
LEFT JOIN main.market_current AS m
    ON m.chain_id = f.chain_id AND m.venue_id = 'feeds' AND m.aspect = 'phase' AND m.market = f.address;
COMMENT ON VIEW public.dim_feed IS 'Every configured price feed, and the source that it points to now.';
COMMENT ON COLUMN public.dim_feed.asset_id IS 'CAIP-19 id of the asset that it prices';
COMMENT ON COLUMN public.dim_feed.kind IS 'Kind of feed, as chainlink or pyth-solana';
COMMENT ON COLUMN public.dim_feed.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.dim_feed.feed_address IS 'Address of the feed (Chainlink: the proxy; Pyth: the price account)';
COMMENT ON COLUMN public.dim_feed.heartbeat_seconds IS 'Longest time between two answers, in seconds';
COMMENT ON COLUMN public.dim_feed.deviation_ratio IS 'Price move that triggers an answer, as a ratio: 0.005 is 0.5 %';
COMMENT ON COLUMN public.dim_feed.source_address IS 'What gives the answers now (Chainlink: the aggregator; Pyth: the account itself), NULL if there is none; joins fct_price';
COMMENT ON COLUMN public.dim_feed.answer_decimals IS 'Decimals of answer_raw in fct_price, NULL if nobody needed them';
COMMENT ON COLUMN public.dim_feed.feed_id IS 'What the account at feed_address must be a price of, in hex; NULL for feeds that do not say it';
COMMENT ON COLUMN public.dim_feed.max_confidence_ratio IS 'Widest interval that is believed, as a ratio of the price; NULL for feeds that give none';

CREATE OR REPLACE VIEW public.dim_market AS
SELECT
    m.venue_id, m.chain_id,
    main.written(m.chain_id, m.market) AS market_address,
    main.written(m.chain_id, m.market) AS asset_address,
    CAST(m.state ->> '$.id' AS INTEGER) AS reserve_id,
    m.symbol, m.decimals,
    m.state ->> '$.a_token' AS a_token_address,
    m.state ->> '$.variable_debt_token' AS variable_debt_token_address,
    m.state ->> '$.stable_debt_token' AS stable_debt_token_address,
    CAST(m.state ->> '$.since' AS BIGINT) AS since_block,
    CAST(t.state ->> '$.ltv' AS INTEGER) AS ltv_bps,
    CAST(t.state ->> '$.liquidation_threshold' AS INTEGER) AS liquidation_threshold_bps,
    CAST(t.state ->> '$.liquidation_bonus' AS INTEGER) AS liquidation_bonus_bps
FROM main.market AS m
LEFT JOIN main.market_current AS t
    ON t.chain_id = m.chain_id AND t.venue_id = m.venue_id AND t.market = m.market AND t.aspect = 'terms';
COMMENT ON VIEW public.dim_market IS 'Every market of every venue (Aave: a reserve; an escrow: a token), with its terms now.';
COMMENT ON COLUMN public.dim_market.venue_id IS 'Venue of the market';
COMMENT ON COLUMN public.dim_market.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.dim_market.market_address IS 'What names the market within its venue (Aave and escrows: the asset)';
COMMENT ON COLUMN public.dim_market.asset_address IS 'Token that is supplied, and borrowed if the venue lends';
COMMENT ON COLUMN public.dim_market.reserve_id IS 'Number of the reserve at the venue, NULL if it was never read or there is none';
COMMENT ON COLUMN public.dim_market.symbol IS 'Symbol that the token gives itself: chosen by its issuer, not checked; NULL if it gives none';
COMMENT ON COLUMN public.dim_market.decimals IS 'Decimals of the token';
COMMENT ON COLUMN public.dim_market.a_token_address IS 'Token that stands for supply';
COMMENT ON COLUMN public.dim_market.variable_debt_token_address IS 'Token that stands for debt at a variable rate';
COMMENT ON COLUMN public.dim_market.stable_debt_token_address IS 'Token that stands for debt at a stable rate';
COMMENT ON COLUMN public.dim_market.since_block IS 'Block in which the market was listed, NULL if nothing says it';
COMMENT ON COLUMN public.dim_market.ltv_bps IS 'Share of the value that can be borrowed against, in basis points';
COMMENT ON COLUMN public.dim_market.liquidation_threshold_bps IS 'Share of the value that backs debt, in basis points';
COMMENT ON COLUMN public.dim_market.liquidation_bonus_bps IS 'What a liquidator receives for each unit of debt, in basis points: 10500 is 5 % more';

CREATE OR REPLACE VIEW public.lending_event AS
SELECT
    e.chain_id AS blockchain,
    split_part(v.protocol, '-v', 1) AS project,
    nullif(split_part(v.protocol, '-v', 2), '') AS version,
    e.venue_id,
    e.kind AS transaction_type,
    m.symbol,
    main.written(e.chain_id, e.asset) AS token_address,
    main.written(e.chain_id, e.owner) AS owner_address,
    main.written(e.chain_id, e.counterparty) AS counterparty_address,
    CAST(e.amount_raw AS DOUBLE) / power(10, m.decimals) AS amount,
    e.amount_raw,
    CAST(date_trunc('month', make_timestamp(b.time * 1000000)) AS DATE) AS block_month,
    make_timestamp(b.time * 1000000) AS block_time,
    e.block_number,
    main.written(e.chain_id, v.address) AS project_contract_address,
    main.written(e.chain_id, e.tx_hash) AS tx_hash,
    e.ordinal AS evt_index,
    e.extra
FROM main.lending_event AS e
LEFT JOIN main.venue AS v ON v.venue_id = e.venue_id
LEFT JOIN main.block AS b ON b.chain_id = e.chain_id AND b.number = e.block_number
LEFT JOIN main.market AS m ON m.chain_id = e.chain_id AND m.venue_id = e.venue_id AND m.market = e.asset;
COMMENT ON VIEW public.lending_event IS 'What people did at lending venues, one event a row, after the columns of Dune''s lending tables.';
COMMENT ON COLUMN public.lending_event.blockchain IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.lending_event.project IS 'Protocol without its version, as aave';
COMMENT ON COLUMN public.lending_event.version IS 'Version of the protocol, as 3';
COMMENT ON COLUMN public.lending_event.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.lending_event.transaction_type IS 'supply, withdraw, borrow, repay, transfer or liquidation';
COMMENT ON COLUMN public.lending_event.symbol IS 'Symbol that the token gives itself';
COMMENT ON COLUMN public.lending_event.token_address IS 'Token of the amount (liquidation: of the debt)';
COMMENT ON COLUMN public.lending_event.owner_address IS 'Whose position changed';
COMMENT ON COLUMN public.lending_event.counterparty_address IS 'Who paid, received or liquidated, NULL if nobody else did';
COMMENT ON COLUMN public.lending_event.amount IS 'Amount in tokens, rounded to a double';
COMMENT ON COLUMN public.lending_event.amount_raw IS 'Amount in token units times 10^decimals, exact';
COMMENT ON COLUMN public.lending_event.block_month IS 'First day of the month of the block, UTC';
COMMENT ON COLUMN public.lending_event.block_time IS 'Time of the block, UTC';
COMMENT ON COLUMN public.lending_event.block_number IS 'Block of the event';
COMMENT ON COLUMN public.lending_event.project_contract_address IS 'Contract or account that names the venue';
COMMENT ON COLUMN public.lending_event.tx_hash IS 'Transaction of the event (Solana: its first signature)';
COMMENT ON COLUMN public.lending_event.evt_index IS 'Place of the event within its block (EVM: the index of its log)';
COMMENT ON COLUMN public.lending_event.extra IS 'What else the event says, as JSON';

CREATE OR REPLACE VIEW public.fct_position AS
SELECT
    p.chain_id, p.venue_id,
    main.written(p.chain_id, p.unit_id) AS unit_id,
    main.written(p.chain_id, p.owner) AS owner_address,
    main.written(p.chain_id, p.market) AS market_address,
    main.written(p.chain_id, p.asset) AS asset_address,
    m.symbol, m.decimals, p.side,
    p.amount_raw AS protocol_raw,
    p.block_number AS since_block,
    p.engine_version, p.basis
FROM main.position_current AS p
LEFT JOIN main.market AS m ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market = p.market
WHERE p.amount_raw <> 0;
COMMENT ON VIEW public.fct_position IS 'Every open position at the last indexed block, in the protocol''s own units: interest is not in it. Token amounts with interest come from the API and from snapshots.';
COMMENT ON COLUMN public.fct_position.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_position.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_position.unit_id IS 'What the venue liquidates separately (Aave: the account)';
COMMENT ON COLUMN public.fct_position.owner_address IS 'Who owns the unit';
COMMENT ON COLUMN public.fct_position.market_address IS 'Market in dim_market';
COMMENT ON COLUMN public.fct_position.asset_address IS 'Token of the position';
COMMENT ON COLUMN public.fct_position.symbol IS 'Symbol that the token gives itself';
COMMENT ON COLUMN public.fct_position.decimals IS 'Decimals of the token';
COMMENT ON COLUMN public.fct_position.side IS 'supply or borrow';
COMMENT ON COLUMN public.fct_position.protocol_raw IS 'Amount as the protocol stores it, exact (Aave: the scaled balance, without interest)';
COMMENT ON COLUMN public.fct_position.since_block IS 'Block of the last change';
COMMENT ON COLUMN public.fct_position.engine_version IS 'Version of the arithmetic that derived it';
COMMENT ON COLUMN public.fct_position.basis IS 'exact (from logs), settled (read at a block) or observed (seen between two reads)';

CREATE OR REPLACE MACRO public.fct_position_at(chain, block) AS TABLE
SELECT
    p.chain_id, p.venue_id,
    main.written(p.chain_id, p.unit_id) AS unit_id,
    main.written(p.chain_id, p.owner) AS owner_address,
    main.written(p.chain_id, p.market) AS market_address,
    main.written(p.chain_id, p.asset) AS asset_address,
    m.symbol, m.decimals, p.side,
    p.amount_raw AS protocol_raw,
    p.block_number AS since_block,
    p.engine_version, p.basis
FROM (
    SELECT * FROM main.position_change
    WHERE chain_id = chain AND block_number <= block
    QUALIFY row_number() OVER (
        PARTITION BY venue_id, unit_id, market, side ORDER BY block_number DESC, ordinal DESC
    ) = 1
) AS p
LEFT JOIN main.market AS m ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market = p.market
WHERE p.amount_raw <> 0;
COMMENT ON MACRO TABLE public.fct_position_at IS 'fct_position_at(chain, block): every position of a chain that was open after a block, with the columns of fct_position.';

CREATE OR REPLACE VIEW public.fct_price AS
SELECT
    chain_id,
    main.written(chain_id, source) AS source_address,
    answer_raw, round_id,
    make_timestamp(updated_at * 1000000) AS updated_at,
    block_number, ordinal, basis, confidence_raw
FROM main.price_observation;
COMMENT ON VIEW public.fct_price IS 'Every answer of every price source, as said.';
COMMENT ON COLUMN public.fct_price.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_price.source_address IS 'What gave the answer (Chainlink: the aggregator; Pyth: the price account); joins dim_feed';
COMMENT ON COLUMN public.fct_price.answer_raw IS 'Answer times 10^answer_decimals of the feed, exact; zero and below are no prices';
COMMENT ON COLUMN public.fct_price.round_id IS 'Round of the answer at its source';
COMMENT ON COLUMN public.fct_price.updated_at IS 'When the source says that it was updated, UTC';
COMMENT ON COLUMN public.fct_price.block_number IS 'Block that carried the answer';
COMMENT ON COLUMN public.fct_price.ordinal IS 'Place of the answer within its block (EVM: the index of its log); -1 if it holds from the start of the block, 2147483647 if it was read at the end';
COMMENT ON COLUMN public.fct_price.confidence_raw IS 'Half-width of the interval that the source gives around its answer, at the same scale; NULL if it gives none';
COMMENT ON COLUMN public.fct_price.basis IS 'exact (from logs), settled (read at a block) or observed (seen between two reads)';
