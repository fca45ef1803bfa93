-- Which was the largest move between two answers of each source?
WITH moves AS (
    SELECT
        chain_id, source_address, block_number, updated_at,
        CAST(answer_raw AS DOUBLE) / lag(CAST(answer_raw AS DOUBLE)) OVER (
            PARTITION BY chain_id, source_address ORDER BY block_number, ordinal
        ) - 1 AS move
    FROM public.fct_price
    WHERE answer_raw > 0
)
SELECT chain_id, source_address, round(move * 100, 3) AS move_percent, block_number, updated_at
FROM moves
WHERE move IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY chain_id, source_address ORDER BY abs(move) DESC, block_number) = 1
ORDER BY abs(move_percent) DESC, chain_id, source_address
