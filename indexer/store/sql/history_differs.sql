-- A block that two stores hold differently, if any.
SELECT b.{number} FROM {table} AS b INNER JOIN staged AS s ON s.{number} = b.{number}
WHERE b.chain_id = $chain_id AND b.hash <> s.hash ORDER BY b.{number} LIMIT 1
