-- Keys by which others ask over HTTP: of the secret only its SHA-256 is kept. Nothing is deleted; a key that is revoked stays here.
CREATE TABLE api_key (
    id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    digest BLOB NOT NULL,
    scopes VARCHAR NOT NULL,
    quota INTEGER,
    created_at BIGINT NOT NULL,
    created_by VARCHAR NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
