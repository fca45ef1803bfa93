-- What is published as files, and what the newest snapshot says, for analysts.

CREATE VIEW public.fct_position_change AS
SELECT
    chain_id, venue_id,
    main.written(chain_id, unit_id) AS unit_id,
    main.written(chain_id, owner) AS owner_address,
    main.written(chain_id, market) AS market_address,
    main.written(chain_id, asset) AS asset_address,
    side,
    amount_raw AS protocol_raw,
    block_number, tx_index, ordinal, engine_version, basis
FROM main.position_change;
COMMENT ON VIEW public.fct_position_change IS 'Every change of every position, with the amount after it: the last row at or before a block is the position there (fct_position_at).';
COMMENT ON COLUMN public.fct_position_change.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_position_change.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_position_change.unit_id IS 'What the venue liquidates separately (Aave: the account)';
COMMENT ON COLUMN public.fct_position_change.owner_address IS 'Who owns the unit';
COMMENT ON COLUMN public.fct_position_change.market_address IS 'Market in dim_market';
COMMENT ON COLUMN public.fct_position_change.asset_address IS 'Token of the position';
COMMENT ON COLUMN public.fct_position_change.side IS 'supply or borrow';
COMMENT ON COLUMN public.fct_position_change.protocol_raw IS 'Amount after the change as the protocol stores it, exact (Aave: the scaled balance, without interest); 0: closed';
COMMENT ON COLUMN public.fct_position_change.block_number IS 'Block of the change';
COMMENT ON COLUMN public.fct_position_change.tx_index IS 'Place of its transaction within the block';
COMMENT ON COLUMN public.fct_position_change.ordinal IS 'Place of the change within the block (EVM: the index of its log); -1 if it holds from the start of the block, 2147483647 if it was read at the end';
COMMENT ON COLUMN public.fct_position_change.engine_version IS 'Version of the arithmetic that derived it';
COMMENT ON COLUMN public.fct_position_change.basis IS 'exact (from logs), settled (read at a block) or observed (seen between two reads)';

-- What snapshots said: marks of every one, units of the newest.
CREATE TABLE snapshot_mark (
    snapshot_id VARCHAR NOT NULL,
    identity VARCHAR NOT NULL,
    low_usd VARCHAR,
    mid_usd VARCHAR,
    high_usd VARCHAR,
    state VARCHAR NOT NULL,
    feeds VARCHAR NOT NULL
);
CREATE TABLE snapshot_unit (
    snapshot_id VARCHAR NOT NULL,
    venue_id VARCHAR NOT NULL,
    protocol VARCHAR NOT NULL,
    chain_id VARCHAR NOT NULL,
    unit_id VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    health_factor VARCHAR,
    has_debt BOOLEAN NOT NULL,
    liquidatable BOOLEAN,
    reasons VARCHAR NOT NULL
);

CREATE VIEW public.fct_mark AS
SELECT
    m.snapshot_id,
    make_timestamp(s.slot_time * 1000000) AS slot_time,
    m.identity, m.state,
    CAST(m.low_usd AS DOUBLE) AS low_usd,
    CAST(m.mid_usd AS DOUBLE) AS mid_usd,
    CAST(m.high_usd AS DOUBLE) AS high_usd,
    m.low_usd AS low_usd_exact,
    m.mid_usd AS mid_usd_exact,
    m.high_usd AS high_usd_exact,
    m.feeds
FROM main.snapshot_mark AS m
INNER JOIN main.snapshot AS s ON s.snapshot_id = m.snapshot_id;
COMMENT ON VIEW public.fct_mark IS 'The price at which every snapshot valued each asset: what the house made of its feeds, an identity and a snapshot a row.';
COMMENT ON COLUMN public.fct_mark.snapshot_id IS 'Snapshot in snapshot';
COMMENT ON COLUMN public.fct_mark.slot_time IS 'Moment of the snapshot, UTC';
COMMENT ON COLUMN public.fct_mark.identity IS 'What is priced: dim_asset.same_as where an asset has one, else its asset_id';
COMMENT ON COLUMN public.fct_mark.state IS 'What became of the price, as fresh; docs/methodology.md explains each word';
COMMENT ON COLUMN public.fct_mark.low_usd IS 'Lowest price that the feeds allow, USD a whole token, rounded to a double; NULL where there is none';
COMMENT ON COLUMN public.fct_mark.mid_usd IS 'Price in the middle, USD a whole token, rounded to a double; NULL where there is none';
COMMENT ON COLUMN public.fct_mark.high_usd IS 'Highest price that the feeds allow, USD a whole token, rounded to a double; NULL where there is none';
COMMENT ON COLUMN public.fct_mark.low_usd_exact IS 'low_usd as the decimal text that was used';
COMMENT ON COLUMN public.fct_mark.mid_usd_exact IS 'mid_usd as the decimal text that was used';
COMMENT ON COLUMN public.fct_mark.high_usd_exact IS 'high_usd as the decimal text that was used';
COMMENT ON COLUMN public.fct_mark.feeds IS 'What each feed said and whether it was used, as JSON';

CREATE VIEW public.fct_unit_health AS
SELECT
    u.snapshot_id,
    make_timestamp(s.slot_time * 1000000) AS slot_time,
    u.venue_id, u.protocol, u.chain_id,
    CASE WHEN starts_with(u.chain_id, 'eip155:') THEN lower(u.unit_id) ELSE u.unit_id END AS unit_id,
    CASE WHEN starts_with(u.chain_id, 'eip155:') THEN lower(u.owner) ELSE u.owner END AS owner_address,
    u.status, u.has_debt, u.liquidatable,
    CAST(u.health_factor AS DOUBLE) AS health_factor,
    u.health_factor AS health_factor_exact,
    u.reasons
FROM main.snapshot_unit AS u
INNER JOIN main.snapshot AS s ON s.snapshot_id = u.snapshot_id;
COMMENT ON VIEW public.fct_unit_health IS 'How near every unit of every venue is to its own liquidation, by the venue''s rules and prices, at the newest snapshot; earlier ones are in the snapshots'' own Parquet files.';
COMMENT ON COLUMN public.fct_unit_health.snapshot_id IS 'Snapshot in snapshot';
COMMENT ON COLUMN public.fct_unit_health.slot_time IS 'Moment of the snapshot, UTC';
COMMENT ON COLUMN public.fct_unit_health.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_unit_health.protocol IS 'Protocol with its version, as aave-v3';
COMMENT ON COLUMN public.fct_unit_health.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_unit_health.unit_id IS 'What the venue liquidates separately, as in fct_position';
COMMENT ON COLUMN public.fct_unit_health.owner_address IS 'Who owns the unit';
COMMENT ON COLUMN public.fct_unit_health.status IS 'no_debt, healthy, watch, danger, liquidatable or unknown';
COMMENT ON COLUMN public.fct_unit_health.has_debt IS 'Whether it owes anything';
COMMENT ON COLUMN public.fct_unit_health.liquidatable IS 'Whether the venue lets anybody liquidate it now; NULL where it is not known';
COMMENT ON COLUMN public.fct_unit_health.health_factor IS 'Health factor by the venues own numbers, rounded to a double; NULL without debt or where it is not known: status tells them apart';
COMMENT ON COLUMN public.fct_unit_health.health_factor_exact IS 'health_factor as exact decimal text';
COMMENT ON COLUMN public.fct_unit_health.reasons IS 'Why the status is not better, as a JSON list';
