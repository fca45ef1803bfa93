-- What scenarios, prices and paths do to the book, as of the cuts of a run; only the newest runs are kept.
CREATE TABLE risk_run (
    run BIGINT NOT NULL PRIMARY KEY,
    made_at BIGINT NOT NULL,
    as_of VARCHAR NOT NULL,
    library VARCHAR NOT NULL,
    methodology VARCHAR NOT NULL,
    policy VARCHAR,
    paths BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    accounts BIGINT NOT NULL,
    units BIGINT NOT NULL,
    left_out VARCHAR NOT NULL
);
CREATE TABLE risk_scenario (
    run BIGINT NOT NULL,
    scenario VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    venue_id VARCHAR,
    falling BIGINT NOT NULL,
    newly_falling BIGINT NOT NULL,
    debt_usd DOUBLE NOT NULL,
    shortfall_usd DOUBLE NOT NULL
);
CREATE TABLE risk_curve (
    run BIGINT NOT NULL,
    identity VARCHAR,
    move DOUBLE NOT NULL,
    units BIGINT NOT NULL,
    debt_usd DOUBLE NOT NULL,
    shortfall_usd DOUBLE NOT NULL
);
CREATE TABLE risk_forecast (
    run BIGINT NOT NULL,
    account VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    breach_1h DOUBLE,
    breach_24h DOUBLE,
    breach_7d DOUBLE,
    debt_usd DOUBLE,
    reason VARCHAR
);

CREATE VIEW public.fct_risk_run AS
SELECT
    run AS run_id,
    make_timestamp(made_at * 1000000) AS made_at,
    as_of::JSON AS as_of,
    library AS library_version,
    methodology AS methodology_version,
    policy AS policy_version,
    paths, seed, accounts, units,
    left_out::JSON AS left_out
FROM main.risk_run;
COMMENT ON VIEW public.fct_risk_run IS 'Runs of scenarios, prices and paths over the whole book, the newest of them; the other views of risk hold what each came to.';
COMMENT ON COLUMN public.fct_risk_run.run_id IS 'Number of the run, rising';
COMMENT ON COLUMN public.fct_risk_run.made_at IS 'When it was made, UTC';
COMMENT ON COLUMN public.fct_risk_run.as_of IS 'Block of each chain that it is as of';
COMMENT ON COLUMN public.fct_risk_run.library_version IS 'Version of the library of scenarios';
COMMENT ON COLUMN public.fct_risk_run.methodology_version IS 'Version of the methodology';
COMMENT ON COLUMN public.fct_risk_run.policy_version IS 'Version of the policy in force, NULL where its file names none';
COMMENT ON COLUMN public.fct_risk_run.paths IS 'Paths that forecasts were drawn by';
COMMENT ON COLUMN public.fct_risk_run.seed IS 'Seed of the paths: the same one draws them again';
COMMENT ON COLUMN public.fct_risk_run.accounts IS 'Accounts of the book';
COMMENT ON COLUMN public.fct_risk_run.units IS 'Units with debt that scenarios judge by their venue''s rule';
COMMENT ON COLUMN public.fct_risk_run.left_out IS 'Units and accounts that no scenario judges, with why';

CREATE VIEW public.fct_stress AS
SELECT run AS run_id, scenario AS scenario_id, name, venue_id, falling, newly_falling, debt_usd, shortfall_usd
FROM main.risk_scenario;
COMMENT ON VIEW public.fct_stress IS 'What a scenario does: by the house''s rules (venue_id NULL), and by each venue''s; USD are rounded up.';
COMMENT ON COLUMN public.fct_stress.run_id IS 'Run, see fct_risk_run';
COMMENT ON COLUMN public.fct_stress.scenario_id IS 'Scenario, with which of a window''s moves counts';
COMMENT ON COLUMN public.fct_stress.name IS 'The scenario in words';
COMMENT ON COLUMN public.fct_stress.venue_id IS 'Venue whose rule judges; NULL: the house''s';
COMMENT ON COLUMN public.fct_stress.falling IS 'Accounts below 1 by the house, or units that the venue may liquidate';
COMMENT ON COLUMN public.fct_stress.newly_falling IS 'Those of them that do not as it is';
COMMENT ON COLUMN public.fct_stress.debt_usd IS 'What these owe';
COMMENT ON COLUMN public.fct_stress.shortfall_usd IS 'By how much debt is more than all collateral';

CREATE VIEW public.fct_at_risk AS
SELECT run AS run_id, identity AS identity_id, move, units, debt_usd, shortfall_usd
FROM main.risk_curve;
COMMENT ON VIEW public.fct_at_risk IS 'What may be liquidated at which move of prices: of each identity alone, and of all that is not worth a dollar (identity_id NULL).';
COMMENT ON COLUMN public.fct_at_risk.run_id IS 'Run, see fct_risk_run';
COMMENT ON COLUMN public.fct_at_risk.identity_id IS 'Identity that moves alone; NULL: all at once';
COMMENT ON COLUMN public.fct_at_risk.move IS 'Relative move, -0.25 is a quarter less';
COMMENT ON COLUMN public.fct_at_risk.units IS 'Units that may be liquidated then';
COMMENT ON COLUMN public.fct_at_risk.debt_usd IS 'What these owe';
COMMENT ON COLUMN public.fct_at_risk.shortfall_usd IS 'What all units lack together';

CREATE VIEW public.fct_breach_forecast AS
SELECT run AS run_id, account AS account_id, status, breach_1h, breach_24h, breach_7d, debt_usd, reason
FROM main.risk_forecast;
COMMENT ON VIEW public.fct_breach_forecast IS 'How likely accounts with debt are to be liquidatable soon, the likeliest 10,000 of a run, and those of which nothing can be announced.';
COMMENT ON COLUMN public.fct_breach_forecast.run_id IS 'Run, see fct_risk_run';
COMMENT ON COLUMN public.fct_breach_forecast.account_id IS 'Margin account, or CAIP-10 address of an owner by itself';
COMMENT ON COLUMN public.fct_breach_forecast.status IS 'Its status at the cut';
COMMENT ON COLUMN public.fct_breach_forecast.breach_1h IS 'Chance to be liquidatable at some moment within an hour (not calibrated), NULL where nobody can say';
COMMENT ON COLUMN public.fct_breach_forecast.breach_24h IS 'The same within a day';
COMMENT ON COLUMN public.fct_breach_forecast.breach_7d IS 'The same within a week';
COMMENT ON COLUMN public.fct_breach_forecast.debt_usd IS 'What it owes, NULL where that is not told';
COMMENT ON COLUMN public.fct_breach_forecast.reason IS 'Why nothing can be announced, NULL where it is';
