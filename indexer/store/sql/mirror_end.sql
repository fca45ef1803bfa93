-- Where a piece of at most so many rows ends: at the last final block that is stored before there are more, or at the first behind the first row.
WITH counted AS (
    SELECT block_number, sum(count(*)) OVER (ORDER BY block_number) AS rows
    FROM ({tables}) GROUP BY block_number
),
final AS (
    SELECT number FROM block WHERE chain_id = $chain_id AND number > $above AND number <= $finalized
)
SELECT
    (SELECT max(rows) FROM counted) AS rows,
    coalesce(
        (SELECT max(number) FROM final WHERE number < (SELECT min(block_number) FROM counted WHERE rows > $most)),
        (SELECT min(number) FROM final WHERE number >= (SELECT min(block_number) FROM counted))
    ) AS last
