-- Sources whose word could not be read or kept up to a block, by the log that carried it: whether it was an answer, and the last place of one.
SELECT
    said.address AS source,
    odd.reason IN ('exceeds_decimal38:price_observation', 'malformed_event:AnswerUpdated') AS is_answer,
    max(odd.block_number * 4294967296 + odd.ordinal + 1) AS place
FROM quarantine AS odd
JOIN evm_log AS said ON said.chain_id = odd.chain_id AND said.block_number = odd.block_number AND said.log_index = odd.ordinal
WHERE odd.chain_id = $chain_id AND odd.venue_id = $venue_id AND odd.block_number <= $number
GROUP BY ALL ORDER BY ALL
