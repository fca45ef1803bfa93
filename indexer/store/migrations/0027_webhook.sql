-- Where events are sent to; what signs them is not here. Nothing is deleted; one that is removed stays here.
-- state: active, disabled (it failed too long, or said that it is gone) or removed; place: the last event that deliveries were made of.
CREATE TABLE webhook (
    id VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    wanted VARCHAR NOT NULL,
    place BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);
-- What was sent and is to be sent: pending, delivered, failed (for good) or lost (the event was not kept any more).
CREATE TABLE webhook_delivery (
    webhook_id VARCHAR NOT NULL,
    event_id BIGINT NOT NULL,
    state VARCHAR NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT NOT NULL,
    last_at BIGINT,
    answer VARCHAR NOT NULL
);
