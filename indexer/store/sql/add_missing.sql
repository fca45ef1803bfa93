-- Of the given rows those that are not there.
INSERT INTO {table}
SELECT $chain_id AS chain_id, s.* FROM {given} AS s
ANTI JOIN (SELECT * FROM {table} WHERE chain_id = $chain_id) AS t ON {match}
