-- Which collateral is seized for which debt, how often and how much of it?
SELECT
    blockchain, venue_id, debt_symbol, collateral_symbol, count(*) AS liquidations,
    round(sum(debt_amount), 4) AS debt_covered, round(sum(collateral_amount), 4) AS collateral_seized
FROM public.lending_liquidation
GROUP BY ALL
ORDER BY liquidations DESC, blockchain, venue_id, debt_symbol, collateral_symbol
