-- What each feed said on each UTC day, of the source that it pointed to at the time (`staged`), and how long it was silent before each answer.
WITH said AS (
    SELECT
        s.feed, o.block_number, o.updated_at,
        o.updated_at // 86400 AS day,
        CAST(o.answer_raw AS DOUBLE) / s.unit AS price,
        o.block_number * 4294967296 + o.ordinal + 1 AS place
    FROM price_observation AS o
    JOIN staged AS s ON s.source = o.source AND o.block_number BETWEEN s.first AND s.last
    WHERE o.chain_id = $chain_id AND o.block_number <= $number AND o.answer_raw > 0 AND o.updated_at > 0
),
silent AS (
    SELECT *,
        updated_at - lag(updated_at) OVER (PARTITION BY feed ORDER BY place) AS gap_s,
        lag(price) OVER (PARTITION BY feed ORDER BY place) AS price_before
    FROM said
)
SELECT
    feed, day,
    arg_max(price, place) AS close,
    least(min(price), arg_min_null(price_before, place)) AS low,
    greatest(max(price), arg_min_null(price_before, place)) AS high,
    max(updated_at) AS last_at,
    arg_min_null(gap_s, place) AS first_gap_s,
    max(gap_s) AS longest_gap_s,
    min(block_number) AS first_block,
    max(block_number) AS last_block
FROM silent
GROUP BY feed, day ORDER BY feed, day
