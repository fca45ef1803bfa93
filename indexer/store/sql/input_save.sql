INSERT INTO health_input SELECT $digest, $account_id, $document
WHERE NOT EXISTS (SELECT 1 FROM health_input WHERE digest = $digest)
