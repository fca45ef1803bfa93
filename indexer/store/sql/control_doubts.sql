-- What is wrong at a block: found so at or after it and right at no block between, up to the next that was right again.
WITH wrong AS (
    SELECT d.*,
        (SELECT max(e.block_number) FROM {table} AS e WHERE {same} AND list_contains($right, e.outcome) AND e.block_number < d.block_number) AS right_before,
        (SELECT min(e.block_number) FROM {table} AS e WHERE {same} AND list_contains($right, e.outcome) AND e.block_number > d.block_number) AS right_after
    FROM {table} AS d
    WHERE d.chain_id = $chain_id AND d.outcome = $wrong
)
SELECT * EXCLUDE (right_before, right_after) FROM wrong
WHERE CASE
    WHEN right_after IS NOT NULL THEN block_number <= $number AND $number < right_after
    WHEN right_before IS NOT NULL THEN right_before < $number
    ELSE true
END
ORDER BY venue_id, {keys}
