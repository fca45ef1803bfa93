SELECT interest, level, evidence, first, last FROM coverage WHERE chain_id = $chain_id
ORDER BY interest, level, evidence, first
