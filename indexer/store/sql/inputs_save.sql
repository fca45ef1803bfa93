INSERT INTO health_input SELECT digest, account_id, document FROM staged
WHERE digest NOT IN (SELECT digest FROM health_input)
