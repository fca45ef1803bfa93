-- What subscribers are told: kept for a while (`[events] keep`), never changed. Ids grow and are never given twice.
CREATE TABLE event (
    id BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    told_at BIGINT NOT NULL,
    body VARCHAR NOT NULL,
    -- of liquidations and of their retractions: where the chain says it, and which event is taken back
    chain_id VARCHAR,
    block_number BIGINT,
    place VARCHAR,
    retracts BIGINT
);
-- The last id that was given, and the newest that is not kept any more.
CREATE TABLE event_head (last_id BIGINT NOT NULL, forgotten BIGINT NOT NULL);
INSERT INTO event_head VALUES (0, 0);
-- What was told last of whatever is in another state than the usual one.
CREATE TABLE event_subject (subject VARCHAR NOT NULL, told VARCHAR NOT NULL);
