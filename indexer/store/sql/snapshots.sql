SELECT snapshot_id, schedule, slot_time, state, cut, path, manifest_hash, created_at, detail, sequence
FROM snapshot ORDER BY slot_time, snapshot_id
