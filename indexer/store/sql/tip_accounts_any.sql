-- Whether any unit of a venue has a setting: most venues' have none, and then no key has to be looked for.
SELECT 1 FROM account_current WHERE chain_id = $chain_id AND venue_id = $venue_id LIMIT 1
