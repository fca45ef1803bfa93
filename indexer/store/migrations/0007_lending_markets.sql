-- Every byte string by which a position or an event names its market or asset, with the token behind it: described by a state of its own,
-- listed in the terms of a whole venue (Compound III), or the loan and collateral of an isolated market (Morpho Blue).
CREATE OR REPLACE VIEW market AS
WITH described AS (
    SELECT
        m.chain_id, m.venue_id, m.market, m.aspect, m.state,
        m.state ->> '$.symbol' AS symbol,
        CAST(m.state ->> '$.decimals' AS INTEGER) AS decimals,
        coalesce(unhex(substr(m.state ->> '$.asset', 3)), m.market) AS asset
    FROM main.market_current AS m
    WHERE json_exists(m.state, '$.symbol') AND json_exists(m.state, '$.decimals')
),
listed AS (
    SELECT
        m.chain_id, m.venue_id,
        unhex(substr(each ->> '$.asset', 3)) AS asset,
        each AS state,
        each ->> '$.symbol' AS symbol,
        length(each ->> '$.scale') - 1 AS decimals
    FROM main.market_current AS m, unnest(
        list_append(
            CAST(m.state -> '$.assets' AS JSON[]),
            json_object('asset', m.state ->> '$.base', 'symbol', m.state ->> '$.symbol', 'scale', m.state ->> '$.base_scale')
        )
    ) AS u (each)
    WHERE m.aspect = 'terms' AND json_exists(m.state, '$.assets') AND m.state ->> '$.base' IS NOT NULL
),
isolated AS (
    SELECT
        m.chain_id, m.venue_id, m.market, m.state,
        unhex(substr(m.state ->> '$.loan_token', 3)) AS loan,
        unhex(substr(m.state ->> '$.collateral_token', 3)) AS collateral
    FROM main.market_current AS m
    WHERE m.aspect = 'params'
)
SELECT
    d.chain_id, d.venue_id, d.market, d.state, d.symbol, d.decimals, d.asset,
    d.aspect <> 'token' OR d.venue_id NOT IN (SELECT i.venue_id FROM isolated AS i) AS is_market
FROM described AS d
UNION ALL
SELECT l.chain_id, l.venue_id, l.asset, l.state, l.symbol, l.decimals, l.asset, true FROM listed AS l
UNION ALL
SELECT i.chain_id, i.venue_id, i.market, i.state, d.symbol, d.decimals, i.loan, true
FROM isolated AS i
LEFT JOIN described AS d ON d.chain_id = i.chain_id AND d.venue_id = i.venue_id AND d.market = i.loan AND d.aspect = 'token'
UNION ALL
SELECT i.chain_id, i.venue_id, i.market || i.collateral, i.state, d.symbol, d.decimals, i.collateral, false
FROM isolated AS i
LEFT JOIN described AS d ON d.chain_id = i.chain_id AND d.venue_id = i.venue_id AND d.market = i.collateral AND d.aspect = 'token'
UNION ALL
SELECT d.chain_id, d.venue_id, d.asset, any_value(d.state), any_value(d.symbol), any_value(d.decimals), d.asset, false
FROM described AS d
WHERE d.asset <> d.market
GROUP BY d.chain_id, d.venue_id, d.asset;
COMMENT ON VIEW market IS 'What positions and events name, by its bytes, with the state that describes it and its token; is_market: it is a market of its venue.';

CREATE OR REPLACE VIEW public.dim_market AS
SELECT
    m.venue_id, m.chain_id,
    main.written(m.chain_id, m.market) AS market_address,
    main.written(m.chain_id, m.asset) AS asset_address,
    CAST(m.state ->> '$.id' AS INTEGER) AS reserve_id,
    m.symbol, m.decimals,
    m.state ->> '$.a_token' AS a_token_address,
    m.state ->> '$.variable_debt_token' AS variable_debt_token_address,
    m.state ->> '$.stable_debt_token' AS stable_debt_token_address,
    CAST(m.state ->> '$.since' AS BIGINT) AS since_block,
    coalesce(CAST(t.state ->> '$.ltv' AS INTEGER), CAST(m.state ->> '$.borrow_factor' AS HUGEINT) // 100000000000000) AS ltv_bps,
    coalesce(
        CAST(t.state ->> '$.liquidation_threshold' AS INTEGER),
        CAST(coalesce(m.state ->> '$.liquidate_factor', m.state ->> '$.lltv') AS HUGEINT) // 100000000000000
    ) AS liquidation_threshold_bps,
    CAST(t.state ->> '$.liquidation_bonus' AS INTEGER) AS liquidation_bonus_bps
FROM main.market AS m
LEFT JOIN main.market_current AS t
    ON t.chain_id = m.chain_id AND t.venue_id = m.venue_id AND t.market = m.market AND t.aspect = 'terms'
WHERE m.is_market;
COMMENT ON VIEW public.dim_market IS 'Every market of every venue (Aave: a reserve; Compound III: an asset; Morpho Blue: a market; Euler: a vault; an escrow: a token), with its terms now.';
COMMENT ON COLUMN public.dim_market.venue_id IS 'Venue of the market';
COMMENT ON COLUMN public.dim_market.chain_id IS 'CAIP-2 id of its chain';
COMMENT ON COLUMN public.dim_market.market_address IS 'What names the market within its venue (Aave, Compound III and escrows: the asset; Morpho Blue: its id; Euler: the vault)';
COMMENT ON COLUMN public.dim_market.asset_address IS 'Token that is supplied, and borrowed if the venue lends';
COMMENT ON COLUMN public.dim_market.reserve_id IS 'Number of the reserve at the venue, NULL if it was never read or there is none';
COMMENT ON COLUMN public.dim_market.symbol IS 'Symbol that the token gives itself: chosen by its issuer, not checked; NULL if it gives none';
COMMENT ON COLUMN public.dim_market.decimals IS 'Decimals of the token';
COMMENT ON COLUMN public.dim_market.a_token_address IS 'Token that stands for supply';
COMMENT ON COLUMN public.dim_market.variable_debt_token_address IS 'Token that stands for debt at a variable rate';
COMMENT ON COLUMN public.dim_market.stable_debt_token_address IS 'Token that stands for debt at a stable rate';
COMMENT ON COLUMN public.dim_market.since_block IS 'Block in which the market was listed, NULL if nothing says it';
COMMENT ON COLUMN public.dim_market.ltv_bps IS 'Share of the value that can be borrowed against, in basis points, rounded down; NULL where pairs of vaults have their own';
COMMENT ON COLUMN public.dim_market.liquidation_threshold_bps IS 'Share of the value that backs debt, in basis points, rounded down; NULL where pairs of vaults have their own';
COMMENT ON COLUMN public.dim_market.liquidation_bonus_bps IS 'What a liquidator receives for each unit of debt, in basis points: 10500 is 5 % more';
