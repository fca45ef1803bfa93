-- Checks of a venue that say nothing more: of each the newest of each outcome stays, and one at a block.
DELETE FROM {table}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND rowid NOT IN (
    SELECT rowid FROM (
        SELECT
            rowid, {keys}, outcome, block_number,
            row_number() OVER (PARTITION BY {keys}, block_number ORDER BY checked_at DESC, rowid DESC) AS at_block
        FROM {table} WHERE chain_id = $chain_id AND venue_id = $venue_id
    )
    WHERE at_block = 1
    QUALIFY row_number() OVER (PARTITION BY {keys}, outcome ORDER BY block_number DESC) = 1
)
