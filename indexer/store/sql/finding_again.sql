-- A log that is found wrong again is one finding.
DELETE FROM finding
WHERE chain_id = $chain_id AND interest = $interest AND kind = $kind AND block_number = $block AND log_index = $log_index
    AND address = $address
