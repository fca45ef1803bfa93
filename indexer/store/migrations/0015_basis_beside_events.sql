-- The views beside lending_event say how a line came about too.

CREATE OR REPLACE VIEW public.lending_liquidation AS
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
    e.block_month, e.block_time, e.block_number, e.project_contract_address, e.tx_hash, e.evt_index, e.basis
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
COMMENT ON COLUMN public.lending_liquidation.project_contract_address IS 'Contract or account that names the venue';
COMMENT ON COLUMN public.lending_liquidation.tx_hash IS 'Transaction of the event (Solana: its first signature), NULL for what is only observed';
COMMENT ON COLUMN public.lending_liquidation.evt_index IS 'Place of the event within its block (EVM: the index of its log)';
COMMENT ON COLUMN public.lending_liquidation.basis IS 'exact: as a log or a transaction says; observed: what two looks at an account leave unexplained, of a venue whose transactions are not read';

CREATE OR REPLACE VIEW public.lending_supply AS
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
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index, basis
FROM public.lending_event
WHERE transaction_type IN ('supply', 'withdraw')
UNION ALL
SELECT
    blockchain, project, version, venue_id, 'deposit_liquidation', collateral_symbol, collateral_token_address,
    borrower, NULL, NULL, liquidator, -collateral_amount, -collateral_amount_raw,
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index, basis
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
COMMENT ON COLUMN public.lending_supply.project_contract_address IS 'Contract or account that names the venue';
COMMENT ON COLUMN public.lending_supply.tx_hash IS 'Transaction of the event (Solana: its first signature), NULL for what is only observed';
COMMENT ON COLUMN public.lending_supply.evt_index IS 'Place of the event within its block (EVM: the index of its log)';
COMMENT ON COLUMN public.lending_supply.basis IS 'exact: as a log or a transaction says; observed: what two looks at an account leave unexplained, of a venue whose transactions are not read';

CREATE OR REPLACE VIEW public.lending_borrow AS
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
    block_month, block_time, block_number, project_contract_address, tx_hash, evt_index, basis
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
COMMENT ON COLUMN public.lending_borrow.project_contract_address IS 'Contract or account that names the venue';
COMMENT ON COLUMN public.lending_borrow.tx_hash IS 'Transaction of the event (Solana: its first signature), NULL for what is only observed';
COMMENT ON COLUMN public.lending_borrow.evt_index IS 'Place of the event within its block (EVM: the index of its log)';
COMMENT ON COLUMN public.lending_borrow.basis IS 'exact: as a log or a transaction says; observed: what two looks at an account leave unexplained, of a venue whose transactions are not read';
