-- What counts of every message of a bridge, by protocol and message; $recipients: NULL for all.
SELECT * EXCLUDE (recipients)
FROM (
    SELECT
        protocol, message, source_chain, destination_chain, asset, amount_raw, decimals, sender, recipient, sent_at,
        source_tx, state, delivered_block, source, imported_at, digest,
        count(*) OVER (PARTITION BY protocol, message) - 1 AS said_before,
        evidence, grade, checked,
        CAST($recipients AS VARCHAR[]) AS recipients
    FROM transfer
    QUALIFY row_number() OVER (PARTITION BY protocol, message ORDER BY import_number DESC) = 1
)
WHERE recipients IS NULL OR list_contains(recipients, recipient)
ORDER BY protocol, message
