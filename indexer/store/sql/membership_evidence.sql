SELECT digest, account_id, chain_id, wallet, action, scheme, nonce, issued_at, expires_at, received_at, who, note, envelope
FROM membership_evidence ORDER BY entry
