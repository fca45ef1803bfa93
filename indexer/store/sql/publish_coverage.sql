SELECT chain_id, interest, first, least(last, $last) AS last, level, evidence
FROM coverage WHERE chain_id = $chain_id AND first <= $last
