-- The last positive rate of each of these sources on each UTC day, by the time of the block that told it.
SELECT o.source, b.time // 86400 AS day, arg_max(CAST(o.answer_raw AS DOUBLE), o.block_number * 4294967296 + o.ordinal + 1) AS answer
FROM price_observation AS o
JOIN block AS b ON b.chain_id = o.chain_id AND b.number = o.block_number
WHERE o.chain_id = $chain_id AND o.block_number <= $number AND list_contains($sources, o.source) AND o.answer_raw > 0
GROUP BY o.source, day ORDER BY o.source, day
