-- The blocks in which the next segments end: each holds as many rows as are wanted, or a few more, since blocks are whole.
SELECT max(block_number) AS last
FROM (
    SELECT block_number, sum(count(*)) OVER (ORDER BY block_number) - count(*) AS before
    FROM {journal} WHERE chain_id = $chain_id AND block_number BETWEEN $first AND $last
    GROUP BY block_number
)
GROUP BY before // $rows
HAVING max(before) >= 0
ORDER BY last
