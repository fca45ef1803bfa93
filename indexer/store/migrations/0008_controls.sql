-- Our numbers beside what the venues' own contracts answered, view by view. Of each view of a unit the newest check of each outcome stays.
CREATE TABLE parity_check (
    chain_id VARCHAR NOT NULL,
    checked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    unit_id BLOB NOT NULL,
    view VARCHAR NOT NULL,
    contract BLOB NOT NULL,
    market BLOB NOT NULL,
    ours VARCHAR,
    theirs VARCHAR,
    outcome VARCHAR NOT NULL
);

-- One line a run and venue; the newest line says where the rotation goes on: behind `last_unit`, or, where it is NULL, from the first unit on. `standing`:
-- by table, how many checks of the venue stood at each outcome after the run, by the newest of each (JSON).
CREATE TABLE parity_run (
    chain_id VARCHAR NOT NULL,
    checked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    units BIGINT NOT NULL,
    equal BIGINT NOT NULL,
    different BIGINT NOT NULL,
    unanswered BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    round BIGINT NOT NULL,
    last_unit BLOB,
    standing VARCHAR NOT NULL
);

CREATE VIEW public.fct_parity_check AS
SELECT
    make_timestamp(c.checked_at * 1000000) AS checked_at,
    c.chain_id, c.block_number,
    main.written(c.chain_id, c.block_hash) AS block_hash,
    c.venue_id,
    main.written(c.chain_id, c.unit_id) AS unit_id,
    c.view,
    main.written(c.chain_id, c.contract) AS contract_address,
    nullif(main.written(c.chain_id, c.market), '0x') AS market,
    c.ours, c.theirs, c.outcome,
    row_number() OVER (
        PARTITION BY c.chain_id, c.venue_id, c.unit_id, c.view, c.contract, c.market ORDER BY c.block_number DESC, c.checked_at DESC
    ) = 1 AS is_newest
FROM main.parity_check AS c;
COMMENT ON VIEW public.fct_parity_check IS 'Our numbers of a unit beside the answer of a view of its venue''s own contracts; the newest check of each outcome, by unit and view.';
COMMENT ON COLUMN public.fct_parity_check.checked_at IS 'When the contract was asked, UTC';
COMMENT ON COLUMN public.fct_parity_check.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_parity_check.block_number IS 'Final block after which both speak';
COMMENT ON COLUMN public.fct_parity_check.block_hash IS 'Hash of that block, to which the question was pinned';
COMMENT ON COLUMN public.fct_parity_check.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_parity_check.unit_id IS 'Unit of the venue, as in fct_position';
COMMENT ON COLUMN public.fct_parity_check.view IS 'The view that was asked, by the contract''s own name for it';
COMMENT ON COLUMN public.fct_parity_check.contract_address IS 'Contract that was asked';
COMMENT ON COLUMN public.fct_parity_check.market IS 'Market of the unit that the view is about, NULL for the whole unit';
COMMENT ON COLUMN public.fct_parity_check.ours IS 'Our numbers, a JSON object of integers as text; NULL where they are not known';
COMMENT ON COLUMN public.fct_parity_check.theirs IS 'The contract''s, under the same names; NULL where it was not asked, no node answered, or it refuses to answer';
COMMENT ON COLUMN public.fct_parity_check.outcome IS 'equal; different; unanswered: no node has the state; unknown: we have no number that could be compared';
COMMENT ON COLUMN public.fct_parity_check.is_newest IS 'Whether no later block was checked of this view: where it is different, the unit is in doubt';

CREATE VIEW public.fct_parity_run AS
SELECT
    make_timestamp(r.checked_at * 1000000) AS checked_at,
    r.chain_id, r.block_number,
    main.written(r.chain_id, r.block_hash) AS block_hash,
    r.venue_id, r.units, r.equal, r.different, r.unanswered, r.unknown,
    CASE WHEN r.equal + r.different > 0 THEN r.equal / (r.equal + r.different) ELSE NULL END AS parity_ratio,
    r.round
FROM main.parity_run AS r;
COMMENT ON VIEW public.fct_parity_run IS 'Every run of the self-audit, a line a venue.';
COMMENT ON COLUMN public.fct_parity_run.checked_at IS 'When it ran, UTC';
COMMENT ON COLUMN public.fct_parity_run.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_parity_run.block_number IS 'Final block at which it compared';
COMMENT ON COLUMN public.fct_parity_run.block_hash IS 'Hash of that block';
COMMENT ON COLUMN public.fct_parity_run.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_parity_run.units IS 'Units that were looked at';
COMMENT ON COLUMN public.fct_parity_run.equal IS 'Views that answered what we say';
COMMENT ON COLUMN public.fct_parity_run.different IS 'Views that answered something else, or refused where we have a number';
COMMENT ON COLUMN public.fct_parity_run.unanswered IS 'Views of which no node had the state';
COMMENT ON COLUMN public.fct_parity_run.unknown IS 'Views of which we have no number';
COMMENT ON COLUMN public.fct_parity_run.parity_ratio IS 'Share of the compared views that are equal, NULL where nothing was compared';
COMMENT ON COLUMN public.fct_parity_run.round IS 'How often every unit was visited before this run';

-- Totals that the venues' contracts keep, beside the sums of what is stored. Of each the newest of each outcome stays.
CREATE TABLE venue_total (
    chain_id VARCHAR NOT NULL,
    checked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    total VARCHAR NOT NULL,
    contract BLOB NOT NULL,
    market BLOB NOT NULL,
    ours VARCHAR,
    theirs VARCHAR,
    residual VARCHAR,
    least VARCHAR NOT NULL,
    most VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL
);

-- What the venues' contracts hold and are owed, beside what is claimed. Of each the newest of each outcome stays.
CREATE TABLE venue_holding (
    chain_id VARCHAR NOT NULL,
    checked_at BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    venue_id VARCHAR NOT NULL,
    contract BLOB NOT NULL,
    asset BLOB NOT NULL,
    market BLOB NOT NULL,
    held VARCHAR,
    owed VARCHAR,
    claims VARCHAR,
    shortfall VARCHAR,
    slack VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL
);

CREATE VIEW public.fct_venue_total AS
SELECT
    make_timestamp(t.checked_at * 1000000) AS checked_at,
    t.chain_id, t.block_number,
    main.written(t.chain_id, t.block_hash) AS block_hash,
    t.venue_id,
    nullif(main.written(t.chain_id, t.market), '0x') AS market_address,
    main.written(t.chain_id, t.contract) AS contract_address,
    t.total, t.ours, t.theirs, t.residual,
    t.least AS least_residual, t.most AS most_residual,
    nullif(t.why, '') AS bound_reason,
    t.outcome,
    row_number() OVER (
        PARTITION BY t.chain_id, t.venue_id, t.total, t.contract, t.market ORDER BY t.block_number DESC, t.checked_at DESC
    ) = 1 AS is_newest
FROM main.venue_total AS t;
COMMENT ON VIEW public.fct_venue_total IS 'Totals that the venues'' own contracts keep, beside the sums of what is stored of all units; the newest of each outcome, by total.';
COMMENT ON COLUMN public.fct_venue_total.checked_at IS 'When the contract was asked, UTC';
COMMENT ON COLUMN public.fct_venue_total.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_venue_total.block_number IS 'Final block after which both speak';
COMMENT ON COLUMN public.fct_venue_total.block_hash IS 'Hash of that block, to which the question was pinned';
COMMENT ON COLUMN public.fct_venue_total.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_venue_total.market_address IS 'Market whose total it is, as in dim_market';
COMMENT ON COLUMN public.fct_venue_total.contract_address IS 'Contract that keeps it';
COMMENT ON COLUMN public.fct_venue_total.total IS 'The contract''s own name for it (debts: the single debts beside the contract''s total of them)';
COMMENT ON COLUMN public.fct_venue_total.ours IS 'Sum of what is stored, an integer as text in the protocol''s own raw units; NULL where it is not known';
COMMENT ON COLUMN public.fct_venue_total.theirs IS 'The contract''s, likewise; NULL where no node has the state';
COMMENT ON COLUMN public.fct_venue_total.residual IS 'Theirs less ours';
COMMENT ON COLUMN public.fct_venue_total.least_residual IS 'The least that the protocol''s own rounding allows';
COMMENT ON COLUMN public.fct_venue_total.most_residual IS 'The most that it allows';
COMMENT ON COLUMN public.fct_venue_total.bound_reason IS 'Where these bounds come from, NULL where both are nothing';
COMMENT ON COLUMN public.fct_venue_total.outcome IS 'equal; within the bounds; different; unanswered: no node has the state; unknown: there is no sum to compare';
COMMENT ON COLUMN public.fct_venue_total.is_newest IS 'Whether no later block was looked at: where it is different, the venue is in doubt';

CREATE VIEW public.fct_venue_holding AS
SELECT
    make_timestamp(h.checked_at * 1000000) AS checked_at,
    h.chain_id, h.block_number,
    main.written(h.chain_id, h.block_hash) AS block_hash,
    h.venue_id,
    nullif(main.written(h.chain_id, h.market), '0x') AS market_address,
    main.written(h.chain_id, h.asset) AS asset_address,
    main.written(h.chain_id, h.contract) AS contract_address,
    h.held, h.owed, h.claims, h.shortfall,
    h.slack AS allowed_shortfall,
    nullif(h.why, '') AS allowed_reason,
    h.outcome,
    row_number() OVER (
        PARTITION BY h.chain_id, h.venue_id, h.contract, h.asset, h.market ORDER BY h.block_number DESC, h.checked_at DESC
    ) = 1 AS is_newest
FROM main.venue_holding AS h;
COMMENT ON VIEW public.fct_venue_holding IS 'Tokens that the venues'' contracts hold and are owed, beside what their owners can claim; the newest of each outcome.';
COMMENT ON COLUMN public.fct_venue_holding.checked_at IS 'When the token was asked, UTC';
COMMENT ON COLUMN public.fct_venue_holding.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.fct_venue_holding.block_number IS 'Final block after which all of it is so';
COMMENT ON COLUMN public.fct_venue_holding.block_hash IS 'Hash of that block, to which the question was pinned';
COMMENT ON COLUMN public.fct_venue_holding.venue_id IS 'Venue in dim_venue';
COMMENT ON COLUMN public.fct_venue_holding.market_address IS 'Market whose claims they are, NULL where the venue holds the token for all of its markets together';
COMMENT ON COLUMN public.fct_venue_holding.asset_address IS 'Token that is held';
COMMENT ON COLUMN public.fct_venue_holding.contract_address IS 'Contract that holds it';
COMMENT ON COLUMN public.fct_venue_holding.held IS 'Its balance, which is what can be withdrawn at once: an integer as text, in raw units of the token; NULL where no node has the state';
COMMENT ON COLUMN public.fct_venue_holding.owed IS 'What borrowers owe of it, with interest; whether they can pay is not looked at. NULL where it is not known';
COMMENT ON COLUMN public.fct_venue_holding.claims IS 'What suppliers can claim of it, with interest; NULL where it is not known';
COMMENT ON COLUMN public.fct_venue_holding.shortfall IS 'By how much claims are more than what is held and owed, 0 where they are not';
COMMENT ON COLUMN public.fct_venue_holding.allowed_shortfall IS 'How much of that the protocol''s own rounding can leave';
COMMENT ON COLUMN public.fct_venue_holding.allowed_reason IS 'Where that comes from, NULL where it is nothing';
COMMENT ON COLUMN public.fct_venue_holding.outcome IS 'covered; short: by more than is allowed; unanswered: no node has the state; unknown: claims or debts are not known';
COMMENT ON COLUMN public.fct_venue_holding.is_newest IS 'Whether no later block was looked at';

-- What a venue's governance changed, and what else decides whom its numbers come from. Rates, totals and the like change with every action: they are left out.
CREATE VIEW public.venue_alert AS
WITH told AS (
    SELECT
        m.chain_id, m.venue_id, m.block_number, m.market, m.aspect, m.state,
        CASE
            WHEN m.aspect IN ('reserve', 'params', 'vault') THEN 'listing'
            WHEN m.aspect IN ('source', 'oracle', 'phase', 'router') OR starts_with(m.aspect, 'route:') THEN 'oracle'
            WHEN m.aspect IN ('wiring', 'roles') THEN 'admin'
            WHEN m.aspect IN ('engine', 'rounding', 'code', 'model') THEN 'implementation'
            WHEN m.aspect IN ('terms', 'enabled') OR starts_with(m.aspect, 'ltv:') OR starts_with(m.aspect, 'emode') THEN 'terms'
            ELSE NULL
        END AS kind,
        lag(m.state) OVER (
            PARTITION BY m.chain_id, m.venue_id, m.market, m.aspect ORDER BY m.block_number, m.tx_index, m.ordinal
        ) AS state_before
    FROM main.market_change AS m
)
SELECT
    t.chain_id, t.venue_id, t.block_number,
    nullif(main.written(t.chain_id, t.market), '0x') AS market_address,
    t.kind, t.aspect, t.state_before, t.state,
    t.state_before IS NULL AS is_first
FROM told AS t
WHERE t.kind IS NOT NULL AND t.state IS DISTINCT FROM t.state_before AND NOT (t.aspect = 'vault' AND t.state_before IS NOT NULL);
COMMENT ON VIEW public.venue_alert IS 'Listings of collateral, changes of price sources, of who decides over a venue, of the code it runs and of its terms: for an alarm on any row behind a block.';
COMMENT ON COLUMN public.venue_alert.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.venue_alert.venue_id IS 'Venue in dim_venue, or feeds for a price feed of the chain';
COMMENT ON COLUMN public.venue_alert.block_number IS 'Block of the change';
COMMENT ON COLUMN public.venue_alert.market_address IS 'Market, vault, model or feed that it concerns, NULL for the whole venue';
COMMENT ON COLUMN public.venue_alert.kind IS 'listing: a market or collateral, new or described anew (Compound III lists assets and their feeds in its terms); oracle: where a price comes from; admin: who decides (oracle and configurator of a pool, owner, fee recipient); implementation: what code runs; terms: what counts how much';
COMMENT ON COLUMN public.venue_alert.aspect IS 'The aspect of the market that changed, as the protocol''s own fold names it';
COMMENT ON COLUMN public.venue_alert.state_before IS 'What it was before, as JSON; NULL where this is the first that is known';
COMMENT ON COLUMN public.venue_alert.state IS 'What it is from here on, as JSON';
COMMENT ON COLUMN public.venue_alert.is_first IS 'Whether nothing was known of it before: of a listing, the listing itself';
