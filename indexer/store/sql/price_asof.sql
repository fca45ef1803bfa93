-- The last answer of every source at a block; `arg_max_null`: a last answer without a confidence has none, whatever was said before.
SELECT
    source,
    CAST(arg_max(answer_raw, place) AS HUGEINT) AS answer_raw,
    CAST(arg_max(round_id, place) AS HUGEINT) AS round_id,
    arg_max(updated_at, place) AS updated_at,
    arg_max(block_number, place) AS block_number,
    CAST(arg_max_null(confidence_raw, place) AS HUGEINT) AS confidence_raw,
    max(place) AS place
FROM (SELECT *, block_number * 4294967296 + ordinal + 1 AS place FROM {source})
WHERE chain_id = $chain_id AND block_number <= $number
GROUP BY source ORDER BY source
