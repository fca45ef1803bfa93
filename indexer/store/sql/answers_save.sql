-- Of each account at most one answer is staged.
INSERT INTO health_answer
SELECT staged.account_id, staged.served_at, staged.digest, staged.document
FROM staged LEFT JOIN (
    SELECT account_id, digest FROM health_answer WHERE account_id IN (SELECT account_id FROM staged)
    QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY served_at DESC, rowid DESC) = 1
) AS held ON held.account_id = staged.account_id
WHERE staged.digest IS DISTINCT FROM held.digest
AND NOT EXISTS (
    SELECT 1 FROM health_answer AS before
    WHERE before.account_id = staged.account_id AND before.served_at = staged.served_at AND before.digest = staged.digest
)
