SELECT body FROM observation WHERE chain_id = $chain_id AND fetched_at = $second ORDER BY part
