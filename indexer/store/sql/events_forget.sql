UPDATE event_head
SET forgotten = greatest(forgotten, (SELECT coalesce(max(id), 0) FROM event WHERE told_at < $before))
