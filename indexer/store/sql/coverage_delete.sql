DELETE FROM coverage
WHERE chain_id = $chain_id AND interest = $interest AND level = $level AND evidence = $evidence
    AND first = $first AND last = $last
