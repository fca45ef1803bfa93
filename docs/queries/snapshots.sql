-- Which snapshots were made, and does any speak of something that was restated since?
SELECT snapshot_id, schedule, slot_time, state, created_at, restated, sequence
FROM public.snapshot
ORDER BY slot_time DESC, snapshot_id
