-- Where a piece of at most so many rows ends: at the last final block up to which there are no more, or at the first one with rows.
WITH counted AS (
    SELECT block_number, sum(count(*)) OVER (ORDER BY block_number) AS rows
    FROM ({tables}) GROUP BY block_number
)
SELECT
    max(rows) AS rows,
    coalesce(
        max(block_number) FILTER (rows <= $most AND block_number <= $finalized),
        min(block_number) FILTER (block_number <= $finalized)
    ) AS last
FROM counted
