-- How many rows each value of a column has, and a mark of them that does not depend on their order.
SELECT {key}, count(*), sum(hash(*COLUMNS(* EXCLUDE (chain_id)))) FROM {table} WHERE chain_id = $chain_id GROUP BY {key}
