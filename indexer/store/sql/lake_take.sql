-- One row after the other, as in `append`.
INSERT INTO {table} BY NAME SELECT staged.* FROM staged POSITIONAL JOIN (SELECT 0 LIMIT 0) AS nothing
