-- What spans of blocks hold, each told by how many rows it has and a sum over them: two stores with one mark hold the same.
SELECT {block} // $blocks AS span, count(*) AS rows, CAST(sum(hash(row_of)) AS VARCHAR) AS mark
FROM main.{table} AS row_of
WHERE chain_id = $chain_id AND {block} <= $last
GROUP BY span
ORDER BY span
