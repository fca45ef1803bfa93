DELETE FROM health_input WHERE rowid IN (
    SELECT rowid FROM health_input ORDER BY rowid LIMIT greatest(0, (SELECT count(*) FROM health_input) - $kept)
)
