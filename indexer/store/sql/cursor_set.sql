INSERT INTO cursor VALUES ($chain_id, $number, $hash, $parent_hash, $time, $finalized)
