-- What streams and webhooks tell, for SQL.
CREATE VIEW public.event AS
SELECT
    id AS event_id,
    kind,
    make_timestamp(told_at * 1000000) AS told_at,
    json_extract_string(body, '$.scope') AS scope,
    json_extract_string(body, '$.account') AS account_id,
    CAST(json_extract(body, '$.owners') AS VARCHAR[]) AS owners,
    CAST(json_extract(body, '$.venues') AS VARCHAR[]) AS venue_ids,
    CAST(json_extract(body, '$.assets') AS VARCHAR[]) AS asset_ids,
    json_extract_string(body, '$.before.band') AS band_before,
    json_extract_string(body, '$.after.band') AS band_after,
    chain_id,
    block_number,
    retracts AS retracts_event_id,
    body
FROM main.event;
COMMENT ON VIEW public.event IS 'What streams and webhooks tell, as long as it is kept ([events] keep): bands that accounts and units came into, liquidations and their retraction, marks.';
COMMENT ON COLUMN public.event.event_id IS 'Id by which streams go on; later events have greater ones';
COMMENT ON COLUMN public.event.kind IS 'health_band, liquidation, retracted or mark';
COMMENT ON COLUMN public.event.told_at IS 'When it was stored, UTC';
COMMENT ON COLUMN public.event.scope IS 'Of health_band: account or unit, else NULL';
COMMENT ON COLUMN public.event.account_id IS 'Margin account, or CAIP-10 address of an owner by itself; NULL where it is of none';
COMMENT ON COLUMN public.event.owners IS 'CAIP-10 addresses that it is about';
COMMENT ON COLUMN public.event.venue_ids IS 'Venues that it is about';
COMMENT ON COLUMN public.event.asset_ids IS 'CAIP-19 assets that it is about';
COMMENT ON COLUMN public.event.band_before IS 'Of health_band: the band that was left, else NULL';
COMMENT ON COLUMN public.event.band_after IS 'Of health_band: the band that was come into, else NULL';
COMMENT ON COLUMN public.event.chain_id IS 'Of liquidation and retracted: the chain that says it, else NULL';
COMMENT ON COLUMN public.event.block_number IS 'Of liquidation and retracted: its block, else NULL';
COMMENT ON COLUMN public.event.retracts_event_id IS 'Of retracted: the liquidation that the chain took back, else NULL';
COMMENT ON COLUMN public.event.body IS 'All that it says, as JSON';
