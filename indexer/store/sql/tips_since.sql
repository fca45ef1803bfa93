-- How many positions of a venue have another last row than at a block, and how many there are.
SELECT count(*) FILTER (block_number > $number), count(*)
FROM position_current
WHERE chain_id = $chain_id AND venue_id = $venue_id
