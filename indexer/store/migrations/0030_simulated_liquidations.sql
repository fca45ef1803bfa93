-- What liquidations come to in each scenario of a run, as simulated; the run says as of which blocks.
CREATE TABLE risk_liquidation (
    run BIGINT NOT NULL,
    scenario VARCHAR NOT NULL,
    venue_id VARCHAR,
    sale_order VARCHAR NOT NULL,
    depth DOUBLE NOT NULL,
    impact_cap DOUBLE NOT NULL,
    seed BIGINT NOT NULL,
    policy_digest VARCHAR NOT NULL,
    ended BOOLEAN NOT NULL,
    liquidated BIGINT NOT NULL,
    sold_usd DOUBLE NOT NULL,
    impact_usd DOUBLE NOT NULL,
    accounts_lose_usd DOUBLE NOT NULL,
    bad_debt_usd DOUBLE NOT NULL,
    lenders_lose_usd DOUBLE NOT NULL
);
CREATE VIEW public.fct_simulated_liquidation AS
SELECT
    run AS run_id, scenario AS scenario_id, venue_id, sale_order, depth, impact_cap, seed, policy_digest, ended, liquidated, sold_usd,
    impact_usd, accounts_lose_usd, bad_debt_usd, lenders_lose_usd
FROM main.risk_liquidation;
COMMENT ON VIEW public.fct_simulated_liquidation IS 'What liquidating everybody comes to after a scenario, in all (venue_id NULL) and by venue; units whose venue''s rule is not known are in none.';
COMMENT ON COLUMN public.fct_simulated_liquidation.run_id IS 'Run, see fct_risk_run: as of which blocks, and by which library of scenarios';
COMMENT ON COLUMN public.fct_simulated_liquidation.scenario_id IS 'Scenario, with which of a window''s moves counts';
COMMENT ON COLUMN public.fct_simulated_liquidation.venue_id IS 'Venue; NULL: all together';
COMMENT ON COLUMN public.fct_simulated_liquidation.sale_order IS 'Which collateral is sold first';
COMMENT ON COLUMN public.fct_simulated_liquidation.depth IS 'The share of the usual liquidity that there is';
COMMENT ON COLUMN public.fct_simulated_liquidation.impact_cap IS 'The most that a round''s sales of an identity lose, as a fraction';
COMMENT ON COLUMN public.fct_simulated_liquidation.seed IS 'What draws the order of units that are alike: the same one gives the same again';
COMMENT ON COLUMN public.fct_simulated_liquidation.policy_digest IS 'Hash of the policy in force';
COMMENT ON COLUMN public.fct_simulated_liquidation.ended IS 'Whether nothing more happened before the last round';
COMMENT ON COLUMN public.fct_simulated_liquidation.liquidated IS 'Units that are liquidated';
COMMENT ON COLUMN public.fct_simulated_liquidation.sold_usd IS 'Collateral that liquidators take and sell';
COMMENT ON COLUMN public.fct_simulated_liquidation.impact_usd IS 'What these sales lose';
COMMENT ON COLUMN public.fct_simulated_liquidation.accounts_lose_usd IS 'Collateral less debt that accounts owe no more';
COMMENT ON COLUMN public.fct_simulated_liquidation.bad_debt_usd IS 'What venues write off, and what is owed beyond all collateral in the end, rounded up to a cent';
COMMENT ON COLUMN public.fct_simulated_liquidation.lenders_lose_usd IS 'Bad debt that no fund pays, rounded up to a cent';

-- What a sale of so much loses, as somebody says, instead of what is reckoned from a day's volume.
ALTER TABLE liquidity ADD COLUMN depth VARCHAR;
CREATE OR REPLACE VIEW public.fct_liquidity AS
SELECT
    identity, as_of, daily_volume_usd, spread, fee, source,
    make_timestamp(imported_at * 1000000) AS imported_at,
    digest AS import_digest,
    count(*) OVER (PARTITION BY identity, as_of) - 1 AS corrections,
    depth
FROM main.liquidity
QUALIFY row_number() OVER (PARTITION BY identity, as_of ORDER BY import_number DESC) = 1;
COMMENT ON VIEW public.fct_liquidity IS 'What was said of the liquidity of identities, the last of each day; the newest day of an identity counts.';
COMMENT ON COLUMN public.fct_liquidity.identity IS 'Price identity: same_as of the assets in dim_asset, or an asset id';
COMMENT ON COLUMN public.fct_liquidity.as_of IS 'UTC day of which it speaks';
COMMENT ON COLUMN public.fct_liquidity.daily_volume_usd IS 'What is traded in a day, in USD';
COMMENT ON COLUMN public.fct_liquidity.spread IS 'Between the best bid and the best ask, as a fraction of the price';
COMMENT ON COLUMN public.fct_liquidity.fee IS 'Of a sale, as a fraction of what is sold';
COMMENT ON COLUMN public.fct_liquidity.source IS 'Whom the one who imported it named as its source';
COMMENT ON COLUMN public.fct_liquidity.imported_at IS 'When it was imported, UTC';
COMMENT ON COLUMN public.fct_liquidity.import_digest IS 'sha256: and the hash of all that was imported with it';
COMMENT ON COLUMN public.fct_liquidity.corrections IS 'How often something else was said of the day before';
COMMENT ON COLUMN public.fct_liquidity.depth IS 'USD that are sold at once : the fraction that this loses, all in all, with semicolons between; NULL if nobody said';
