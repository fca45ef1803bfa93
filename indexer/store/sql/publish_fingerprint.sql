-- What the rows of a view are made of: its journal's rows, the times of their blocks, and the tokens that they name.
SELECT
    (SELECT count(*) FROM {journal} WHERE chain_id = $chain_id AND block_number BETWEEN $first AND $last) AS rows,
    (
        SELECT CAST(coalesce(sum(hash(row_of)), 0) AS VARCHAR)
        FROM {journal} AS row_of WHERE chain_id = $chain_id AND block_number BETWEEN $first AND $last
    ) AS journal,
    (
        SELECT CAST(coalesce(sum(hash(number, time)), 0) AS VARCHAR)
        FROM main.block WHERE chain_id = $chain_id AND number BETWEEN $first AND $last
    ) AS blocks
