-- The tips that the staged rows replace.
DELETE FROM {tip} WHERE rowid IN (
    SELECT t.rowid FROM {tip} AS t JOIN staged AS s ON {match} WHERE t.chain_id = $chain_id
)
