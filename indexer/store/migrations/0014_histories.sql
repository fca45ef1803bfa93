-- What somebody said of prices by days, and of what assets can be sold for: nothing is changed or deleted; the last import of a day counts.
CREATE TABLE price_day (
    identity VARCHAR NOT NULL,
    day DATE NOT NULL,
    close DOUBLE NOT NULL,
    low DOUBLE,
    high DOUBLE,
    source VARCHAR NOT NULL,
    imported_at BIGINT NOT NULL,
    import_number BIGINT NOT NULL,
    digest VARCHAR NOT NULL
);

CREATE TABLE liquidity (
    identity VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    daily_volume_usd DOUBLE NOT NULL,
    spread DOUBLE NOT NULL,
    fee DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    imported_at BIGINT NOT NULL,
    import_number BIGINT NOT NULL,
    digest VARCHAR NOT NULL
);

CREATE VIEW public.fct_price_day AS
SELECT
    identity, day, close, low, high, source,
    make_timestamp(imported_at * 1000000) AS imported_at,
    digest AS import_digest,
    count(*) OVER (PARTITION BY identity, day) - 1 AS corrections
FROM main.price_day
QUALIFY row_number() OVER (PARTITION BY identity, day ORDER BY import_number DESC) = 1;
COMMENT ON VIEW public.fct_price_day IS 'Imported prices by days, the last that was said of each; days that feeds tell are not here.';
COMMENT ON COLUMN public.fct_price_day.identity IS 'Price identity: same_as of the assets in dim_asset, or an asset id';
COMMENT ON COLUMN public.fct_price_day.day IS 'UTC day';
COMMENT ON COLUMN public.fct_price_day.close IS 'Last price of the day in USD';
COMMENT ON COLUMN public.fct_price_day.low IS 'Lowest price of the day in USD, NULL if nobody said';
COMMENT ON COLUMN public.fct_price_day.high IS 'Highest price of the day in USD, NULL if nobody said';
COMMENT ON COLUMN public.fct_price_day.source IS 'Whom the one who imported it named as its source';
COMMENT ON COLUMN public.fct_price_day.imported_at IS 'When it was imported, UTC';
COMMENT ON COLUMN public.fct_price_day.import_digest IS 'sha256: and the hash of all that was imported with it';
COMMENT ON COLUMN public.fct_price_day.corrections IS 'How often something else was said of the day before';

CREATE VIEW public.fct_liquidity AS
SELECT
    identity, as_of, daily_volume_usd, spread, fee, source,
    make_timestamp(imported_at * 1000000) AS imported_at,
    digest AS import_digest,
    count(*) OVER (PARTITION BY identity, as_of) - 1 AS corrections
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
