-- The tips that the staged rows replace.
DELETE FROM {tip} AS t USING staged AS s WHERE t.chain_id = $chain_id AND {match}
