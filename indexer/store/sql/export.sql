COPY (SELECT * FROM ({query}) ORDER BY ALL) TO $path (FORMAT parquet, COMPRESSION zstd)
