-- Whether a unit of a venue was ever owned by somebody else than who it is named after.
SELECT EXISTS (
    FROM {source}
    WHERE chain_id = $chain_id AND venue_id = $venue_id AND block_number <= $number AND owner <> unit_id
)
