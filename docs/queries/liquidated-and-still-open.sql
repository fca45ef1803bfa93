-- Which liquidated borrowers still have debt?
SELECT l.blockchain, l.venue_id, l.borrower, count(DISTINCT l.tx_hash) AS liquidations, count(DISTINCT p.market_address) AS debts
FROM public.lending_liquidation AS l
INNER JOIN public.fct_position AS p
    ON p.chain_id = l.blockchain AND p.venue_id = l.venue_id AND p.owner_address = l.borrower AND p.side = 'borrow'
GROUP BY ALL
ORDER BY liquidations DESC, l.borrower
LIMIT 50
