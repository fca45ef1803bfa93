SELECT
    source,
    CAST(arg_max(answer_raw, place) AS HUGEINT) AS answer_raw,
    CAST(arg_max(round_id, place) AS HUGEINT) AS round_id,
    arg_max(updated_at, place) AS updated_at,
    arg_max(block_number, place) AS block_number
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM {source})
WHERE chain_id = $chain_id AND block_number <= $number
GROUP BY source ORDER BY source
