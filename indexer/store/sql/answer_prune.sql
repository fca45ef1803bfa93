DELETE FROM health_answer WHERE rowid IN (
    SELECT rowid FROM health_answer ORDER BY served_at, rowid LIMIT greatest(0, (SELECT count(*) FROM health_answer) - $kept)
)
