SELECT chain_id, interest, from_block, to_block, cause, restated_at, logs_added, logs_removed, rows_before, rows_after, changed
FROM restatement WHERE chain_id = $chain_id ORDER BY restated_at, rowid
