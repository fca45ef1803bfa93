SELECT id, name, digest, scopes, quota, created_at, created_by, expires_at, revoked_at
FROM api_key ORDER BY created_at, id
