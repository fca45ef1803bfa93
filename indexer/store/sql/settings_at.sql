-- One setting of all units after a block, each by its last row up to it.
SELECT market, state FROM (
    SELECT unit_id, market, arg_max(state, block_number * 4294967296 + ordinal + 1) AS state FROM account_change
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND aspect = $aspect AND block_number <= $number
    GROUP BY unit_id, market
)
ORDER BY market, unit_id
