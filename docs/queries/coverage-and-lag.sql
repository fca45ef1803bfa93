-- How far is each chain indexed, and how well is it proven that nothing is missing?
SELECT
    c.chain_id, c.name, c.indexed_block, c.indexed_block_time, c.finalized_block,
    v.interest, v.level, min(v.first_block) AS covered_from, max(v.last_block) AS covered_to
FROM public.dim_chain AS c
LEFT JOIN public.fct_coverage AS v ON v.chain_id = c.chain_id
GROUP BY ALL
ORDER BY c.chain_id, v.interest, v.level, covered_from
