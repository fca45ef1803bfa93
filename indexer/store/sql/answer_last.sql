SELECT served_at, digest, document FROM health_answer
WHERE account_id = $account_id AND served_at <= $until ORDER BY served_at DESC, rowid DESC LIMIT 1
