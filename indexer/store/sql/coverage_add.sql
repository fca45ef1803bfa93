INSERT INTO coverage BY NAME SELECT $chain_id AS chain_id, * FROM staged
