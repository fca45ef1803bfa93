COPY (
    SELECT * FROM public.fct_position_at($chain_id, $last) ORDER BY owner_address, venue_id, unit_id, market_address, side
) TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384)
