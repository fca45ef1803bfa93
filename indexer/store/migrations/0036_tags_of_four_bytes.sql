-- The numbers by which rows of a unit, or of an owner, are found: the last four bytes of the name, which were two. Rows that only had the same number
-- were read with those looked for, one of 65,536 of a journal.

ALTER TABLE position_change ALTER COLUMN unit_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(unit_id[-4:]) AS UINTEGER);
ALTER TABLE position_change ALTER COLUMN owner_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(owner[-4:]) AS UINTEGER);

ALTER TABLE position_current ALTER COLUMN unit_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(unit_id[-4:]) AS UINTEGER);
ALTER TABLE position_current ALTER COLUMN owner_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(owner[-4:]) AS UINTEGER);

ALTER TABLE account_change ALTER COLUMN unit_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(unit_id[-4:]) AS UINTEGER);
ALTER TABLE account_change ALTER COLUMN owner_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(owner[-4:]) AS UINTEGER);

ALTER TABLE account_current ALTER COLUMN unit_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(unit_id[-4:]) AS UINTEGER);
ALTER TABLE account_current ALTER COLUMN owner_tag SET DATA TYPE UINTEGER USING CAST('0x0' || hex(owner[-4:]) AS UINTEGER);

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
FROM main.position_change AS p
LEFT JOIN main.market AS m ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market = p.market
WHERE p.chain_id = chain AND p.block_number <= block AND p.amount_raw <> 0 AND p.rowid IN (
    SELECT arg_max(j.rowid, j.block_number * 4294967296 + j.ordinal + 1) FROM main.position_change AS j
    WHERE j.chain_id = chain AND j.block_number <= block
    GROUP BY j.venue_id, j.unit_id, j.market, j.side
);
COMMENT ON MACRO TABLE public.fct_position_at IS 'fct_position_at(chain, block): every position of a chain that was open after a block, with the columns of fct_position.';
