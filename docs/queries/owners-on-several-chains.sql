-- Whose key has positions on more than one EVM chain?
SELECT owner_address, count(DISTINCT chain_id) AS chains, count(*) AS positions
FROM public.fct_position
WHERE starts_with(chain_id, 'eip155:')
GROUP BY owner_address
HAVING count(DISTINCT chain_id) > 1
ORDER BY positions DESC, owner_address
LIMIT 50
