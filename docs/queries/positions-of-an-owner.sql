-- What does one owner have and owe, at which venues?
SELECT p.chain_id, p.venue_id, p.side, p.symbol, p.protocol_raw, p.since_block
FROM public.fct_position AS p
WHERE p.owner_address = (
    SELECT owner_address FROM public.fct_position GROUP BY owner_address ORDER BY count(*) DESC, owner_address LIMIT 1
)
ORDER BY p.chain_id, p.venue_id, p.side, p.symbol
