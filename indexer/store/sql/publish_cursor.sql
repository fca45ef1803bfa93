-- A cursor that stands at a final block.
SELECT c.chain_id, $last AS block_number, b.hash AS block_hash, b.parent_hash AS block_parent_hash, b.time AS block_time, $last AS finalized_number
FROM cursor AS c
INNER JOIN main.block AS b ON b.chain_id = c.chain_id AND b.number = $last
WHERE c.chain_id = $chain_id
