-- What some sources said lately: the last answer of each minute after `since`, and the last one before, which may be as old as `earliest`.
SELECT
    source,
    CAST(arg_max(answer_raw, place) AS HUGEINT) AS answer_raw,
    CAST(arg_max(round_id, place) AS HUGEINT) AS round_id,
    arg_max(updated_at, place) AS updated_at,
    arg_max(block_number, place) AS block_number,
    CAST(arg_max_null(confidence_raw, place) AS HUGEINT) AS confidence_raw
FROM (
    SELECT
        *,
        block_number * 4294967296 + ordinal + 1 AS place,
        CASE WHEN updated_at > $since THEN updated_at // 60 ELSE -1 END AS minute
    FROM price_observation
    WHERE chain_id = $chain_id AND block_number <= $number AND updated_at > $earliest AND updated_at <= $until
        AND list_contains($sources, source)
)
GROUP BY source, minute ORDER BY source, updated_at, max(place)
