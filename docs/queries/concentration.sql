-- What share of each market do its ten largest positions have?
WITH ranked AS (
    SELECT
        chain_id, venue_id, market_address, symbol, side, protocol_raw,
        row_number() OVER (PARTITION BY chain_id, venue_id, market_address, side ORDER BY protocol_raw DESC, unit_id) AS place
    FROM public.fct_position
)
SELECT
    chain_id, venue_id, symbol, side, count(*) AS positions,
    round(sum(CASE WHEN place <= 10 THEN CAST(protocol_raw AS DOUBLE) ELSE 0 END) / sum(CAST(protocol_raw AS DOUBLE)), 4) AS share_of_ten
FROM ranked
GROUP BY chain_id, venue_id, market_address, symbol, side
ORDER BY share_of_ten DESC, chain_id, venue_id, symbol, side
