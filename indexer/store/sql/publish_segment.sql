COPY (
    SELECT * FROM {rows} WHERE {chain} = $chain_id AND block_number BETWEEN $first AND $last ORDER BY {order}
) TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384)
