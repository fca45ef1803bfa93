SELECT snapshot_id FROM snapshot WHERE state = 'done' ORDER BY slot_time DESC, created_at DESC LIMIT 1
