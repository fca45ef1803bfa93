-- What a view says of the venues and tokens that its rows name.
SELECT CAST(coalesce(sum(hash(n.venue_id, n.named, v.protocol, v.address, m.symbol, m.decimals)), 0) AS VARCHAR) AS named
FROM (
    SELECT DISTINCT venue_id, {named_by} AS named
    FROM {journal} WHERE chain_id = $chain_id AND block_number BETWEEN $first AND $last
) AS n
LEFT JOIN main.venue AS v ON v.venue_id = n.venue_id
LEFT JOIN main.market AS m ON m.chain_id = $chain_id AND m.venue_id = n.venue_id AND m.market = n.named
