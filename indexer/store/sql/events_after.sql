SELECT id, kind, told_at, body FROM event WHERE id > $after ORDER BY id LIMIT $count
