DELETE FROM {table} WHERE run <= $last
