-- What analysts read: views that keep their names and columns, with a comment on each. Addresses are '0x' and lower-case hex.
CREATE SCHEMA public;

CREATE VIEW public.dim_chain AS
SELECT
    c.chain_id, c.name, c.finality, c.start_block,
    p.block_number AS indexed_block,
    '0x' || lower(hex(p.block_hash)) AS indexed_block_hash,
    make_timestamp(p.block_time * 1000000) AS indexed_block_time,
    CASE WHEN p.finalized_number < 0 THEN NULL ELSE p.finalized_number END AS finalized_block
FROM main.chain AS c LEFT JOIN main.cursor AS p ON p.chain_id = c.chain_id;
COMMENT ON VIEW public.dim_chain IS 'Every configured chain, and how far it is indexed.';
COMMENT ON COLUMN public.dim_chain.chain_id IS 'CAIP-2 id, as eip155:1';
COMMENT ON COLUMN public.dim_chain.name IS 'Name in the configuration';
COMMENT ON COLUMN public.dim_chain.finality IS 'Rule by which blocks count as settled: finalized, safe, latest or confirmations:N';
COMMENT ON COLUMN public.dim_chain.start_block IS 'First block that is indexed';
COMMENT ON COLUMN public.dim_chain.indexed_block IS 'Last indexed block, NULL before the first one';
COMMENT ON COLUMN public.dim_chain.indexed_block_hash IS 'Hash of the last indexed block';
COMMENT ON COLUMN public.dim_chain.indexed_block_time IS 'Time of the last indexed block, UTC';
COMMENT ON COLUMN public.dim_chain.finalized_block IS 'Newest stored block that cannot change any more, NULL if there is none';

CREATE VIEW public.dim_venue AS
SELECT
    venue_id, protocol, chain_id,
    '0x' || lower(hex(address)) AS contract_address,
    start_block
FROM main.venue;
COMMENT ON VIEW public.dim_venue IS 'Every configured lending venue.';
COMMENT ON COLUMN public.dim_venue.venue_id IS 'Id in the configuration';
COMMENT ON COLUMN public.dim_venue.protocol IS 'Protocol with its version, as aave-v3';
COMMENT ON COLUMN public.dim_venue.chain_id IS 'CAIP-2 id of the chain it is deployed on';
COMMENT ON COLUMN public.dim_venue.contract_address IS 'Contract that names the venue (Aave: the Pool)';
COMMENT ON COLUMN public.dim_venue.start_block IS 'First block that can matter to it';

CREATE VIEW public.dim_asset AS
SELECT asset_id, symbol, class AS asset_class, same_as FROM main.asset;
COMMENT ON VIEW public.dim_asset IS 'Every configured asset: its risk class, and what it is the same as on other chains.';
COMMENT ON COLUMN public.dim_asset.asset_id IS 'CAIP-19 id, as eip155:1/erc20:0x…';
COMMENT ON COLUMN public.dim_asset.symbol IS 'Symbol in the configuration, NULL if it names none';
COMMENT ON COLUMN public.dim_asset.asset_class IS 'Risk class of the policy: stable, major, lst, long-tail, rwa …';
COMMENT ON COLUMN public.dim_asset.same_as IS 'Identity for prices and correlation across chains, NULL if it stands for itself';

CREATE VIEW public.dim_account AS
SELECT
    account_id, member,
    split_part(member, ':', 1) || ':' || split_part(member, ':', 2) AS chain_id,
    CASE WHEN starts_with(member, 'eip155:') THEN lower(split_part(member, ':', 3)) ELSE split_part(member, ':', 3) END
        AS owner_address
FROM main.margin_account;
COMMENT ON VIEW public.dim_account IS 'Members of every configured margin account, one a row.';
COMMENT ON COLUMN public.dim_account.account_id IS 'Id of the margin account';
COMMENT ON COLUMN public.dim_account.member IS 'CAIP-10 id of the member';
COMMENT ON COLUMN public.dim_account.chain_id IS 'CAIP-2 id of the chain of the member';
COMMENT ON COLUMN public.dim_account.owner_address IS 'Address of the member, as owner_address elsewhere';

CREATE VIEW public.dim_feed AS
SELECT
    f.asset_id, f.kind, f.chain_id,
    '0x' || lower(hex(f.address)) AS feed_address,
    f.heartbeat_s AS heartbeat_seconds,
    f.deviation AS deviation_ratio,
    m.state ->> '$.aggregator' AS source_address,
    CAST(m.state ->> '$.decimals' AS INTEGER) AS answer_decimals
FROM main.feed AS f
LEFT JOIN main.market_current AS m
    ON m.chain_id = f.chain_id AND m.venue_id = 'feeds' AND m.aspect = 'phase' AND m.market = f.address;
COMMENT ON VIEW public.dim_feed IS 'Every configured price feed, and the source that it points to now.';
COMMENT ON COLUMN public.dim_feed.asset_id IS 'CAIP-19 id of the asset that it prices';
COMMENT ON COLUMN public.dim_feed.kind IS 'Kind of feed, as chainlink';
COMMENT ON COLUMN public.dim_feed.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.dim_feed.feed_address IS 'Address of the feed (Chainlink: the proxy)';
COMMENT ON COLUMN public.dim_feed.heartbeat_seconds IS 'Longest time between two answers, in seconds';
COMMENT ON COLUMN public.dim_feed.deviation_ratio IS 'Price move that triggers an answer, as a ratio: 0.005 is 0.5 %';
COMMENT ON COLUMN public.dim_feed.source_address IS 'Contract that emits the answers now (Chainlink: the aggregator); joins fct_price';
COMMENT ON COLUMN public.dim_feed.answer_decimals IS 'Decimals of answer_raw in fct_price, NULL if nobody needed them';

CREATE VIEW public.dim_market AS
SELECT
    r.venue_id, r.chain_id,
    '0x' || lower(hex(r.market)) AS market_address,
    '0x' || lower(hex(r.market)) AS asset_address,
    CAST(r.state ->> '$.id' AS INTEGER) AS reserve_id,
    r.state ->> '$.symbol' AS symbol,
    CAST(r.state ->> '$.decimals' AS INTEGER) AS decimals,
    r.state ->> '$.a_token' AS a_token_address,
    r.state ->> '$.variable_debt_token' AS variable_debt_token_address,
    r.state ->> '$.stable_debt_token' AS stable_debt_token_address,
    CAST(r.state ->> '$.since' AS BIGINT) AS since_block,
    CAST(t.state ->> '$.ltv' AS INTEGER) AS ltv_bps,
    CAST(t.state ->> '$.liquidation_threshold' AS INTEGER) AS liquidation_threshold_bps,
    CAST(t.state ->> '$.liquidation_bonus' AS INTEGER) AS liquidation_bonus_bps
FROM main.market_current AS r
INNER JOIN main.venue AS v ON v.venue_id = r.venue_id AND v.protocol = 'aave-v3'
LEFT JOIN main.market_current AS t
    ON t.chain_id = r.chain_id AND t.venue_id = r.venue_id AND t.market = r.market AND t.aspect = 'terms'
WHERE r.aspect = 'reserve';
COMMENT ON VIEW public.dim_market IS 'Every market of every venue (Aave: a reserve), with its terms now.';
COMMENT ON COLUMN public.dim_market.venue_id IS 'Venue of the market';
COMMENT ON COLUMN public.dim_market.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.dim_market.market_address IS 'What names the market within its venue (Aave: the asset)';
COMMENT ON COLUMN public.dim_market.asset_address IS 'Token that is supplied and borrowed';
COMMENT ON COLUMN public.dim_market.reserve_id IS 'Number of the reserve at the venue, NULL if it was never read';
COMMENT ON COLUMN public.dim_market.symbol IS 'Symbol that the token gives itself: chosen by its issuer, not checked';
COMMENT ON COLUMN public.dim_market.decimals IS 'Decimals of the token';
COMMENT ON COLUMN public.dim_market.a_token_address IS 'Token that stands for supply';
COMMENT ON COLUMN public.dim_market.variable_debt_token_address IS 'Token that stands for debt at a variable rate';
COMMENT ON COLUMN public.dim_market.stable_debt_token_address IS 'Token that stands for debt at a stable rate';
COMMENT ON COLUMN public.dim_market.since_block IS 'Block in which the market was listed';
COMMENT ON COLUMN public.dim_market.ltv_bps IS 'Share of the value that can be borrowed against, in basis points';
COMMENT ON COLUMN public.dim_market.liquidation_threshold_bps IS 'Share of the value that backs debt, in basis points';
COMMENT ON COLUMN public.dim_market.liquidation_bonus_bps IS 'What a liquidator receives for each unit of debt, in basis points: 10500 is 5 % more';

CREATE VIEW public.lending_event AS
SELECT
    e.chain_id AS blockchain,
    split_part(v.protocol, '-v', 1) AS project,
    nullif(split_part(v.protocol, '-v', 2), '') AS version,
    e.venue_id,
    e.kind AS transaction_type,
    m.symbol,
    '0x' || lower(hex(e.asset)) AS token_address,
    '0x' || lower(hex(e.owner)) AS owner_address,
    '0x' || lower(hex(e.counterparty)) AS counterparty_address,
    CAST(e.amount_raw AS DOUBLE) / power(10, m.decimals) AS amount,
    e.amount_raw,
    CAST(date_trunc('month', make_timestamp(b.time * 1000000)) AS DATE) AS block_month,
    make_timestamp(b.time * 1000000) AS block_time,
    e.block_number,
    '0x' || lower(hex(v.address)) AS project_contract_address,
    '0x' || lower(hex(e.tx_hash)) AS tx_hash,
    e.ordinal AS evt_index,
    e.extra
FROM main.lending_event AS e
LEFT JOIN main.venue AS v ON v.venue_id = e.venue_id
LEFT JOIN main.evm_block AS b ON b.chain_id = e.chain_id AND b.number = e.block_number
LEFT JOIN public.dim_market AS m
    ON m.chain_id = e.chain_id AND m.venue_id = e.venue_id AND m.asset_address = '0x' || lower(hex(e.asset));
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
COMMENT ON COLUMN public.lending_event.project_contract_address IS 'Contract that names the venue';
COMMENT ON COLUMN public.lending_event.tx_hash IS 'Transaction of the event';
COMMENT ON COLUMN public.lending_event.evt_index IS 'Index of the log within its block';
COMMENT ON COLUMN public.lending_event.extra IS 'What else the event says, as JSON';

CREATE VIEW public.lending_liquidation AS
SELECT
    e.blockchain, e.project, e.version, e.venue_id,
    e.owner_address AS borrower,
    e.counterparty_address AS liquidator,
    e.symbol AS debt_symbol,
    e.token_address AS debt_token_address,
    e.amount AS debt_amount,
    e.amount_raw AS debt_amount_raw,
    m.symbol AS collateral_symbol,
    e.extra ->> '$.collateral_asset' AS collateral_token_address,
    TRY_CAST(e.extra ->> '$.collateral_amount_raw' AS DOUBLE) / power(10, m.decimals) AS collateral_amount,
    TRY_CAST(e.extra ->> '$.collateral_amount_raw' AS DECIMAL(38, 0)) AS collateral_amount_raw,
    e.block_month, e.block_time, e.block_number, e.project_contract_address, e.tx_hash, e.evt_index
FROM public.lending_event AS e
LEFT JOIN public.dim_market AS m
    ON m.chain_id = e.blockchain AND m.venue_id = e.venue_id AND m.asset_address = e.extra ->> '$.collateral_asset'
WHERE e.transaction_type = 'liquidation';
COMMENT ON VIEW public.lending_liquidation IS 'Every liquidation: the debt that was covered and the collateral that was seized.';
COMMENT ON COLUMN public.lending_liquidation.blockchain IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.lending_liquidation.project IS 'Protocol without its version, as aave';
COMMENT ON COLUMN public.lending_liquidation.version IS 'Version of the protocol, as 3';
COMMENT ON COLUMN public.lending_liquidation.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.lending_liquidation.borrower IS 'Who was liquidated';
COMMENT ON COLUMN public.lending_liquidation.liquidator IS 'Who paid the debt and received the collateral';
COMMENT ON COLUMN public.lending_liquidation.debt_symbol IS 'Symbol that the debt token gives itself';
COMMENT ON COLUMN public.lending_liquidation.debt_token_address IS 'Token of the debt';
COMMENT ON COLUMN public.lending_liquidation.debt_amount IS 'Debt covered, in tokens, rounded to a double';
COMMENT ON COLUMN public.lending_liquidation.debt_amount_raw IS 'Debt covered, in token units times 10^decimals, exact';
COMMENT ON COLUMN public.lending_liquidation.collateral_symbol IS 'Symbol that the collateral token gives itself';
COMMENT ON COLUMN public.lending_liquidation.collateral_token_address IS 'Token of the collateral';
COMMENT ON COLUMN public.lending_liquidation.collateral_amount IS 'Collateral seized, in tokens, rounded to a double';
COMMENT ON COLUMN public.lending_liquidation.collateral_amount_raw IS 'Collateral seized, exact; NULL beyond 38 digits (extra in lending_event has it)';
COMMENT ON COLUMN public.lending_liquidation.block_month IS 'First day of the month of the block, UTC';
COMMENT ON COLUMN public.lending_liquidation.block_time IS 'Time of the block, UTC';
COMMENT ON COLUMN public.lending_liquidation.block_number IS 'Block of the event';
COMMENT ON COLUMN public.lending_liquidation.project_contract_address IS 'Contract that names the venue';
COMMENT ON COLUMN public.lending_liquidation.tx_hash IS 'Transaction of the event';
COMMENT ON COLUMN public.lending_liquidation.evt_index IS 'Index of the log within its block';

CREATE VIEW public.lending_supply AS
SELECT
    blockchain, project, version, venue_id,
    CASE WHEN transaction_type = 'supply' THEN 'deposit' ELSE 'withdraw' END AS transaction_type,
    symbol, token_address,
    CASE WHEN transaction_type = 'supply' THEN counterparty_address ELSE owner_address END AS depositor,
    CASE WHEN transaction_type = 'supply' THEN owner_address ELSE NULL END AS on_behalf_of,
    CASE WHEN transaction_type = 'withdraw' THEN counterparty_address ELSE NULL END AS withdrawn_to,
    CAST(NULL AS VARCHAR) AS liquidator,
    CASE WHEN transaction_type = 'supply' THEN amount ELSE -amount END AS amount,
    CASE WHEN transaction_type = 'supply' THEN amount_raw ELSE -amount_raw END AS amount_raw,
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index
FROM public.lending_event
WHERE transaction_type IN ('supply', 'withdraw')
UNION ALL
SELECT
    blockchain, project, version, venue_id, 'deposit_liquidation', collateral_symbol, collateral_token_address,
    borrower, NULL, NULL, liquidator, -collateral_amount, -collateral_amount_raw,
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index
FROM public.lending_liquidation;
COMMENT ON VIEW public.lending_supply IS 'What was supplied (positive), withdrawn and seized (negative), after the columns of Dune''s lending.supply.';
COMMENT ON COLUMN public.lending_supply.blockchain IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.lending_supply.project IS 'Protocol without its version, as aave';
COMMENT ON COLUMN public.lending_supply.version IS 'Version of the protocol, as 3';
COMMENT ON COLUMN public.lending_supply.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.lending_supply.transaction_type IS 'deposit, withdraw or deposit_liquidation';
COMMENT ON COLUMN public.lending_supply.symbol IS 'Symbol that the token gives itself';
COMMENT ON COLUMN public.lending_supply.token_address IS 'Token of the amount';
COMMENT ON COLUMN public.lending_supply.depositor IS 'Who paid a deposit; else whose supply it was';
COMMENT ON COLUMN public.lending_supply.on_behalf_of IS 'Who a deposit was credited to, NULL for anything else';
COMMENT ON COLUMN public.lending_supply.withdrawn_to IS 'Who received a withdrawal, NULL for anything else';
COMMENT ON COLUMN public.lending_supply.liquidator IS 'Who received seized collateral, NULL for anything else';
COMMENT ON COLUMN public.lending_supply.amount IS 'Amount in tokens, rounded to a double; negative when it left';
COMMENT ON COLUMN public.lending_supply.amount_raw IS 'Amount in token units times 10^decimals, exact; negative when it left';
COMMENT ON COLUMN public.lending_supply.block_month IS 'First day of the month of the block, UTC';
COMMENT ON COLUMN public.lending_supply.block_time IS 'Time of the block, UTC';
COMMENT ON COLUMN public.lending_supply.block_number IS 'Block of the event';
COMMENT ON COLUMN public.lending_supply.project_contract_address IS 'Contract that names the venue';
COMMENT ON COLUMN public.lending_supply.tx_hash IS 'Transaction of the event';
COMMENT ON COLUMN public.lending_supply.evt_index IS 'Index of the log within its block';

CREATE VIEW public.lending_borrow AS
SELECT
    blockchain, project, version, venue_id,
    CASE WHEN transaction_type = 'liquidation' THEN 'borrow_liquidation' ELSE transaction_type END AS transaction_type,
    symbol, token_address,
    CASE WHEN transaction_type = 'borrow' THEN counterparty_address ELSE owner_address END AS borrower,
    CASE WHEN transaction_type = 'borrow' THEN owner_address ELSE NULL END AS on_behalf_of,
    CASE WHEN transaction_type = 'repay' THEN counterparty_address ELSE NULL END AS repayer,
    CASE WHEN transaction_type = 'liquidation' THEN counterparty_address ELSE NULL END AS liquidator,
    CASE WHEN transaction_type = 'borrow' THEN amount ELSE -amount END AS amount,
    CASE WHEN transaction_type = 'borrow' THEN amount_raw ELSE -amount_raw END AS amount_raw,
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index
FROM public.lending_event
WHERE transaction_type IN ('borrow', 'repay', 'liquidation');
COMMENT ON VIEW public.lending_borrow IS 'What was borrowed (positive), repaid and liquidated (negative), after the columns of Dune''s lending.borrow.';
COMMENT ON COLUMN public.lending_borrow.blockchain IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.lending_borrow.project IS 'Protocol without its version, as aave';
COMMENT ON COLUMN public.lending_borrow.version IS 'Version of the protocol, as 3';
COMMENT ON COLUMN public.lending_borrow.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.lending_borrow.transaction_type IS 'borrow, repay or borrow_liquidation';
COMMENT ON COLUMN public.lending_borrow.symbol IS 'Symbol that the token gives itself';
COMMENT ON COLUMN public.lending_borrow.token_address IS 'Token of the amount';
COMMENT ON COLUMN public.lending_borrow.borrower IS 'Who received a loan; else whose debt it was';
COMMENT ON COLUMN public.lending_borrow.on_behalf_of IS 'Who owes a loan, NULL for anything else';
COMMENT ON COLUMN public.lending_borrow.repayer IS 'Who paid a repayment, NULL for anything else';
COMMENT ON COLUMN public.lending_borrow.liquidator IS 'Who paid liquidated debt, NULL for anything else';
COMMENT ON COLUMN public.lending_borrow.amount IS 'Amount in tokens, rounded to a double; negative when debt shrank';
COMMENT ON COLUMN public.lending_borrow.amount_raw IS 'Amount in token units times 10^decimals, exact; negative when debt shrank';
COMMENT ON COLUMN public.lending_borrow.block_month IS 'First day of the month of the block, UTC';
COMMENT ON COLUMN public.lending_borrow.block_time IS 'Time of the block, UTC';
COMMENT ON COLUMN public.lending_borrow.block_number IS 'Block of the event';
COMMENT ON COLUMN public.lending_borrow.project_contract_address IS 'Contract that names the venue';
COMMENT ON COLUMN public.lending_borrow.tx_hash IS 'Transaction of the event';
COMMENT ON COLUMN public.lending_borrow.evt_index IS 'Index of the log within its block';

CREATE VIEW public.fct_position AS
SELECT
    p.chain_id, p.venue_id,
    '0x' || lower(hex(p.unit_id)) AS unit_id,
    '0x' || lower(hex(p.owner)) AS owner_address,
    '0x' || lower(hex(p.market)) AS market_address,
    '0x' || lower(hex(p.asset)) AS asset_address,
    m.symbol, m.decimals, p.side,
    p.amount_raw AS protocol_raw,
    p.block_number AS since_block,
    p.engine_version, p.basis
FROM main.position_current AS p
LEFT JOIN public.dim_market AS m
    ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market_address = '0x' || lower(hex(p.market))
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

CREATE MACRO public.fct_position_at(chain, block) AS TABLE
SELECT
    p.chain_id, p.venue_id,
    '0x' || lower(hex(p.unit_id)) AS unit_id,
    '0x' || lower(hex(p.owner)) AS owner_address,
    '0x' || lower(hex(p.market)) AS market_address,
    '0x' || lower(hex(p.asset)) AS asset_address,
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
LEFT JOIN public.dim_market AS m
    ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market_address = '0x' || lower(hex(p.market))
WHERE p.amount_raw <> 0;
COMMENT ON MACRO TABLE public.fct_position_at IS 'fct_position_at(chain, block): every position of a chain that was open after a block, with the columns of fct_position.';

CREATE VIEW public.fct_price AS
SELECT
    chain_id,
    '0x' || lower(hex(source)) AS source_address,
    answer_raw, round_id,
    make_timestamp(updated_at * 1000000) AS updated_at,
    block_number, ordinal, basis
FROM main.price_observation;
COMMENT ON VIEW public.fct_price IS 'Every answer of every price source, as said.';
COMMENT ON COLUMN public.fct_price.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_price.source_address IS 'Contract that emitted the answer (Chainlink: the aggregator); joins dim_feed';
COMMENT ON COLUMN public.fct_price.answer_raw IS 'Answer times 10^answer_decimals of the feed, exact; zero and below are no prices';
COMMENT ON COLUMN public.fct_price.round_id IS 'Round of the answer at its source';
COMMENT ON COLUMN public.fct_price.updated_at IS 'When the source says that it was updated, UTC';
COMMENT ON COLUMN public.fct_price.block_number IS 'Block that carried the answer';
COMMENT ON COLUMN public.fct_price.ordinal IS 'Index of the log within its block; -1 if it holds from the start of the block';
COMMENT ON COLUMN public.fct_price.basis IS 'exact (from logs), settled (read at a block) or observed (seen between two reads)';

CREATE VIEW public.fct_coverage AS
SELECT chain_id, interest, first AS first_block, last AS last_block, level, evidence FROM main.coverage;
COMMENT ON VIEW public.fct_coverage IS 'Which spans of blocks are complete, and by which proof; what is in no row was not indexed.';
COMMENT ON COLUMN public.fct_coverage.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_coverage.interest IS 'What was asked for over the span';
COMMENT ON COLUMN public.fct_coverage.first_block IS 'First block of the span';
COMMENT ON COLUMN public.fct_coverage.last_block IS 'Last block of the span, included';
COMMENT ON COLUMN public.fct_coverage.level IS 'Strength of the proof';
COMMENT ON COLUMN public.fct_coverage.evidence IS 'Why nothing is missing within the span';

CREATE VIEW public.snapshot AS
SELECT
    snapshot_id, schedule,
    make_timestamp(slot_time * 1000000) AS slot_time,
    state, cut, manifest_hash,
    make_timestamp(created_at * 1000000) AS created_at,
    detail
FROM main.snapshot;
COMMENT ON VIEW public.snapshot IS 'Ledger of snapshots: when each was due, what became of it, and the hash of its manifest.';
COMMENT ON COLUMN public.snapshot.snapshot_id IS 'Id of the snapshot';
COMMENT ON COLUMN public.snapshot.schedule IS 'Schedule it belongs to';
COMMENT ON COLUMN public.snapshot.slot_time IS 'When it was due, UTC';
COMMENT ON COLUMN public.snapshot.state IS 'What became of it';
COMMENT ON COLUMN public.snapshot.cut IS 'Block of every chain that it is made at, as JSON';
COMMENT ON COLUMN public.snapshot.manifest_hash IS 'Hash of the manifest, which names the hash of every file';
COMMENT ON COLUMN public.snapshot.created_at IS 'When it was made, UTC';
COMMENT ON COLUMN public.snapshot.detail IS 'What else there is to say, as JSON';
