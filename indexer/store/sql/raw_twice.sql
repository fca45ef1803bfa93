-- One thing that is there twice within a span, if any.
SELECT {identity} FROM {table}
WHERE chain_id = $chain_id AND {block} BETWEEN $first AND $last
GROUP BY {identity} HAVING count(*) > 1 ORDER BY {identity} LIMIT 1
