-- Stored answers that nothing rests on any more, since the question is now asked of an earlier block and the answer holds.
DELETE FROM {table} AS t WHERE t.chain_id = $chain_id
    AND EXISTS (SELECT 1 FROM {given} AS s WHERE {question} AND s.{block} < t.{block})
    AND NOT EXISTS (SELECT 1 FROM {given} AS s WHERE {match})
