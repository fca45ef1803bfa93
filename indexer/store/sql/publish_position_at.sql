CREATE OR REPLACE MACRO public.fct_position_at(chain, block) AS TABLE
SELECT
    p.chain_id, p.venue_id, p.unit_id, p.owner_address, p.market_address, p.asset_address,
    m.symbol, m.decimals, p.side, p.protocol_raw,
    p.block_number AS since_block,
    p.engine_version, p.basis
FROM (
    SELECT * FROM public.fct_position_change
    WHERE chain_id = chain AND block_number <= block
    QUALIFY row_number() OVER (
        PARTITION BY venue_id, unit_id, market_address, side ORDER BY block_number DESC, ordinal DESC
    ) = 1
) AS p
LEFT JOIN main.market_row AS m ON m.chain_id = p.chain_id AND m.venue_id = p.venue_id AND m.market_address = p.market_address
WHERE p.protocol_raw <> 0;
