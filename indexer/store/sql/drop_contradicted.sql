-- Stored answers to questions that were answered otherwise when they were asked again.
DELETE FROM {table} AS t USING {given} AS s WHERE t.chain_id = $chain_id AND {match} AND NOT ({same})
