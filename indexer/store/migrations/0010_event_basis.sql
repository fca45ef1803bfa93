-- How a line of history came about: `exact` as a log or a transaction says it, `observed` as two looks at an account leave it.
ALTER TABLE lending_event ADD COLUMN basis VARCHAR DEFAULT 'exact';
ALTER TABLE lending_event ALTER COLUMN basis SET NOT NULL;
ALTER TABLE lending_event ALTER COLUMN basis DROP DEFAULT;
UPDATE lending_event SET basis = 'observed' WHERE extra LIKE '{%' AND extra ->> '$.observed' = 'true';

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
    CASE WHEN octet_length(e.tx_hash) > 0 THEN main.written(e.chain_id, e.tx_hash) ELSE NULL END AS tx_hash,
    e.ordinal AS evt_index,
    e.extra,
    e.basis
FROM main.lending_event AS e
LEFT JOIN main.venue AS v ON v.venue_id = e.venue_id
LEFT JOIN main.block AS b ON b.chain_id = e.chain_id AND b.number = e.block_number
LEFT JOIN main.market AS m ON m.chain_id = e.chain_id AND m.venue_id = e.venue_id AND m.market = e.asset;
COMMENT ON VIEW public.lending_event IS 'What people did at lending venues, one event a row, after the columns of Dune''s lending tables.';
COMMENT ON COLUMN public.lending_event.blockchain IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.lending_event.project IS 'Protocol without its version, as aave';
COMMENT ON COLUMN public.lending_event.version IS 'Version of the protocol, as 3';
COMMENT ON COLUMN public.lending_event.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.lending_event.transaction_type IS 'supply, withdraw, borrow, repay, transfer or liquidation; on Solana also flash_borrow, flash_repay, write_off and transfer_account';
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
COMMENT ON COLUMN public.lending_event.tx_hash IS 'Transaction of the event (Solana: its first signature), NULL for what is only observed';
COMMENT ON COLUMN public.lending_event.evt_index IS 'Place of the event within its block (EVM: the index of its log)';
COMMENT ON COLUMN public.lending_event.extra IS 'What else the event says, as JSON';
COMMENT ON COLUMN public.lending_event.basis IS 'exact: as a log or a transaction says; observed: what two looks at an account leave unexplained, of a venue whose transactions are not read';
COMMENT ON COLUMN public.finding.kind IS 'missing: the chain has the log and the store has not; extra: the other way round; unbalanced: from this block on a total of the contract is not the sum of what is stored, or (interest history:…) what transactions told until this block is not what accounts show';
