-- By market, the first state of an aspect, and the highest that each of some of its numbers ever was, up to a block.
WITH seen AS (
    SELECT market, state, block_number * 4294967296 + ordinal + 1 AS place FROM market_change
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND aspect = $aspect AND block_number <= $number
),
numbers AS (
    SELECT s.market, f.name, max(TRY_CAST(s.state ->> ('$.' || f.name) AS UHUGEINT)) AS most
    FROM seen AS s, unnest($fields) AS f (name)
    GROUP BY s.market, f.name
),
beginnings AS (
    SELECT market, arg_min(state, place) AS state FROM seen GROUP BY market
)
SELECT n.market, b.state, n.name, CAST(coalesce(n.most, 0) AS VARCHAR)
FROM numbers AS n JOIN beginnings AS b ON b.market = n.market
ORDER BY n.market, n.name
