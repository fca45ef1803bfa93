SELECT id, kind, told_at, body FROM event WHERE id = $id
