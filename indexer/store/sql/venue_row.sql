SELECT 1 FROM {table} WHERE venue_id = $venue_id LIMIT 1
