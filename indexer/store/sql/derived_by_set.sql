INSERT OR REPLACE INTO derived_by VALUES ($chain_id, $interest, $version)
