-- Rows of positions up to a block, in no order.
SELECT unit_id, unit_tag, market, side, owner, amount_raw, block_number * 4294967296 + ordinal + 1 AS place
FROM {source}
WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND {which}
