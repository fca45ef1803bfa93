-- What does each market lend against, and what backs debt there?
SELECT chain_id, venue_id, symbol, decimals, ltv_bps / 100 AS ltv_percent, liquidation_threshold_bps / 100 AS threshold_percent,
    (liquidation_bonus_bps - 10000) / 100 AS bonus_percent
FROM public.dim_market
ORDER BY chain_id, venue_id, symbol
