INSERT INTO {table} SELECT * FROM staged
