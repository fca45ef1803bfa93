-- Logs from which rows of an interest were derived, and that are not, or not like this, among those that were read again.
SELECT l.block_number, l.log_index FROM evm_log AS l
SEMI JOIN ({places}) AS p ON p.block_number = l.block_number AND p.ordinal = l.log_index
ANTI JOIN staged AS s ON {match}
WHERE l.chain_id = $chain_id
ORDER BY l.block_number, l.log_index
