-- The margin model as SQL: what the newest snapshot knows of each account's positions, marks and weights, and the views that compute
-- the same health factors as the program does. It stands as of the snapshot that `margin_snapshot` names, and of no other moment.
CREATE TABLE margin_snapshot (snapshot_id VARCHAR NOT NULL, slot_time BIGINT NOT NULL, kappa DOUBLE NOT NULL);

-- `account`: a number of this book alone.
CREATE TABLE margin_holder (
    account INTEGER NOT NULL,
    account_id VARCHAR NOT NULL,
    collateral_usd DOUBLE NOT NULL,
    initial_collateral_usd DOUBLE NOT NULL,
    maintenance_collateral_usd DOUBLE NOT NULL,
    debt_usd DOUBLE NOT NULL,
    initial_debt_usd DOUBLE NOT NULL,
    maintenance_debt_usd DOUBLE NOT NULL,
    has_debt BOOLEAN NOT NULL,
    debt_unknown BOOLEAN NOT NULL,
    apart BOOLEAN NOT NULL,
    claimed BOOLEAN NOT NULL
);

CREATE TABLE margin_leg (
    leg INTEGER NOT NULL,
    is_debt BOOLEAN NOT NULL,
    identity VARCHAR NOT NULL,
    mark VARCHAR NOT NULL,
    static_maintenance DOUBLE NOT NULL,
    static_initial DOUBLE NOT NULL,
    market_maintenance DOUBLE NOT NULL,
    market_initial DOUBLE NOT NULL,
    others DOUBLE NOT NULL,
    least DOUBLE NOT NULL,
    sale DOUBLE NOT NULL,
    slope DOUBLE NOT NULL
);

CREATE TABLE margin_position (account INTEGER NOT NULL, leg INTEGER NOT NULL, amount DOUBLE NOT NULL);

-- No line: there is no mark.
CREATE TABLE margin_mark (
    mark VARCHAR NOT NULL,
    low_usd DOUBLE NOT NULL,
    mid_usd DOUBLE NOT NULL,
    high_usd DOUBLE NOT NULL,
    authorises BOOLEAN NOT NULL
);

CREATE TABLE margin_correlation (identity VARCHAR NOT NULL, other VARCHAR NOT NULL, correlation DOUBLE NOT NULL);

CREATE TABLE margin_case (ones DOUBLE NOT NULL, first DOUBLE NOT NULL, third DOUBLE NOT NULL, offset_share DOUBLE NOT NULL);

-- What is left of selling for `held` USD at once; below it, of what a class and all layers leave, what the market takes and what is kept.
CREATE MACRO public.margin_sold(held, sale, slope) AS
    CASE
        WHEN slope = 0 OR held <= 0 THEN sale
        WHEN sqrt(held) <= sale / (1.5 * slope) THEN sale - slope * sqrt(held)
        ELSE (sale / (1.5 * slope) / sqrt(held)) * (sale / (1.5 * slope) / sqrt(held)) * sale / 3
    END;

CREATE MACRO public.margin_left(static, market, others, least) AS least(static, greatest(others * (1 - market), least));

CREATE MACRO public.margin_taken(remaining, market) AS CASE WHEN remaining > 0 THEN least(market, 1 - remaining) ELSE 0 END;

CREATE MACRO public.margin_kept(remaining, market) AS
    CASE WHEN remaining > 0 THEN least(remaining / (1 - public.margin_taken(remaining, market)), 1) ELSE 0 END;

-- The largest s with p − s·q = √(c − 2·s·x + s²·d), at most 10¹².
CREATE MACRO public.margin_multiple(p, q, c, d, x) AS
    least(
        CASE
            WHEN q <= 0 THEN 1e12
            WHEN c + d = 0 THEN greatest(p, 0) / q
            WHEN p <= 0 THEN 0
            ELSE greatest(p * p - c, 0)
                / (p * q - x + sqrt(greatest(q * q * c - 2 * p * q * x + p * p * d + x * x - c * d, 0)))
        END,
        1e12
    );

CREATE MACRO public.margin_excess(p, q, c, d, x) AS p - q - sqrt(greatest(c - 2 * x + d, 0));

CREATE VIEW public.fct_margin_mark AS
SELECT
    m.mark, m.low_usd, m.mid_usd, m.high_usd, m.authorises,
    s.snapshot_id, make_timestamp(s.slot_time * 1000000) AS slot_time
FROM main.margin_mark AS m CROSS JOIN main.margin_snapshot AS s;
COMMENT ON VIEW public.fct_margin_mark IS 'Every mark that the newest snapshot valued somebody at.';
COMMENT ON COLUMN public.fct_margin_mark.mark IS 'Identity that it prices; where venues alone price it, with that price, for the accounts that have it there';
COMMENT ON COLUMN public.fct_margin_mark.low_usd IS 'USD a token that collateral counts at least';
COMMENT ON COLUMN public.fct_margin_mark.mid_usd IS 'USD a token';
COMMENT ON COLUMN public.fct_margin_mark.high_usd IS 'USD a token that debt counts at most';
COMMENT ON COLUMN public.fct_margin_mark.authorises IS 'Whether new debt may rest on it: else collateral counts zero for the initial margin';
COMMENT ON COLUMN public.fct_margin_mark.snapshot_id IS 'Snapshot that it is of; joins snapshot';
COMMENT ON COLUMN public.fct_margin_mark.slot_time IS 'When that snapshot was due, UTC';

-- One token of each leg at the marks: what it is worth and, where that does not depend on how much is sold, how much of it counts.
CREATE VIEW margin_token AS
WITH weighed AS (
    SELECT
        l.*,
        m.mid_usd IS NULL AS unpriced,
        coalesce(m.mid_usd, 0) AS mid,
        coalesce(CASE WHEN l.is_debt THEN m.high_usd ELSE m.low_usd END, 0) AS adverse,
        coalesce(CASE WHEN l.is_debt THEN m.low_usd ELSE m.high_usd END, 0) AS favourable,
        coalesce(CASE WHEN l.is_debt THEN m.high_usd WHEN m.authorises THEN m.low_usd ELSE 0 END, 0) AS authorising,
        public.margin_left(l.static_maintenance, l.market_maintenance, l.others * l.sale, l.least) AS left_maintenance,
        public.margin_left(l.static_initial, l.market_initial, l.others * l.sale, l.least) AS left_initial
    FROM main.margin_leg AS l
    LEFT JOIN main.margin_mark AS m ON m.mark = l.mark
)
SELECT
    * EXCLUDE (left_maintenance, left_initial),
    CASE
        WHEN is_debt THEN greatest(static_maintenance, 1 + market_maintenance) - market_maintenance
        ELSE public.margin_kept(left_maintenance, market_maintenance)
    END AS kept_maintenance,
    CASE
        WHEN is_debt THEN greatest(static_initial, 1 + market_initial) - market_initial
        ELSE public.margin_kept(left_initial, market_initial)
    END AS kept_initial,
    CASE WHEN is_debt THEN market_maintenance ELSE public.margin_taken(left_maintenance, market_maintenance) END
        AS taken_maintenance,
    CASE WHEN is_debt THEN market_initial ELSE public.margin_taken(left_initial, market_initial) END AS taken_initial
FROM weighed;

-- Positions of which selling more costs more, with what is left of selling all that the account has of the identity.
CREATE VIEW margin_sale AS
WITH held AS (
    SELECT p.account, t.identity, sum(p.amount * t.mid) AS usd
    FROM main.margin_position AS p
    JOIN main.margin_token AS t ON t.leg = p.leg
    WHERE NOT t.is_debt AND t.identity IN (SELECT sized.identity FROM main.margin_leg AS sized WHERE sized.slope > 0)
    GROUP BY p.account, t.identity
),
remaining AS (
    SELECT
        p.account, p.leg, p.amount, t.market_maintenance, t.market_initial,
        public.margin_left(
            t.static_maintenance, t.market_maintenance, t.others * public.margin_sold(h.usd, t.sale, t.slope), t.least
        ) AS left_maintenance,
        public.margin_left(
            t.static_initial, t.market_initial, t.others * public.margin_sold(h.usd, t.sale, t.slope), t.least
        ) AS left_initial
    FROM main.margin_position AS p
    JOIN main.margin_token AS t ON t.leg = p.leg
    JOIN held AS h ON h.account = p.account AND h.identity = t.identity
    WHERE NOT t.is_debt AND t.slope > 0
)
SELECT
    account, leg, amount,
    public.margin_kept(left_maintenance, market_maintenance) AS kept_maintenance,
    public.margin_kept(left_initial, market_initial) AS kept_initial,
    public.margin_taken(left_maintenance, market_maintenance) AS taken_maintenance,
    public.margin_taken(left_initial, market_initial) AS taken_initial
FROM remaining;

CREATE VIEW margin_weighed AS
SELECT
    p.account, p.amount, t.leg, t.is_debt, t.identity, t.mark, t.unpriced, t.mid, t.adverse, t.favourable, t.authorising,
    t.kept_maintenance, t.kept_initial, t.taken_maintenance, t.taken_initial
FROM main.margin_position AS p
JOIN main.margin_token AS t ON t.leg = p.leg
WHERE t.is_debt OR t.slope = 0
UNION ALL
SELECT
    s.account, s.amount, t.leg, t.is_debt, t.identity, t.mark, t.unpriced, t.mid, t.adverse, t.favourable, t.authorising,
    s.kept_maintenance, s.kept_initial, s.taken_maintenance, s.taken_initial
FROM main.margin_sale AS s
JOIN main.margin_token AS t ON t.leg = s.leg;

CREATE VIEW public.fct_margin_position AS
SELECT
    h.account_id, w.leg, w.is_debt, w.identity, w.mark, w.amount, w.unpriced,
    w.amount * w.mid AS mid_usd, w.amount * w.adverse AS adverse_usd, w.amount * w.favourable AS favourable_usd,
    w.kept_maintenance, w.kept_initial, w.taken_maintenance AS market_maintenance, w.taken_initial AS market_initial
FROM main.margin_weighed AS w
JOIN main.margin_holder AS h ON h.account = w.account;
COMMENT ON VIEW public.fct_margin_position IS 'What every account of the newest snapshot holds and owes, what it is worth, and how much of that counts. Amounts and USD are DOUBLE: exact amounts are in fct_position and in the snapshot itself.';
COMMENT ON COLUMN public.fct_margin_position.account_id IS 'Margin account, or CAIP-10 id of an owner';
COMMENT ON COLUMN public.fct_margin_position.leg IS 'Number of what is held or owed within this snapshot';
COMMENT ON COLUMN public.fct_margin_position.is_debt IS 'Whether it is owed';
COMMENT ON COLUMN public.fct_margin_position.identity IS 'What it is to prices and correlations across chains';
COMMENT ON COLUMN public.fct_margin_position.mark IS 'Mark that prices it; joins fct_margin_mark';
COMMENT ON COLUMN public.fct_margin_position.amount IS 'Tokens';
COMMENT ON COLUMN public.fct_margin_position.unpriced IS 'Whether there is no mark: its USD are then 0, which says nothing';
COMMENT ON COLUMN public.fct_margin_position.mid_usd IS 'USD at the middle of the mark';
COMMENT ON COLUMN public.fct_margin_position.adverse_usd IS 'USD at the low for collateral, at the high for debt';
COMMENT ON COLUMN public.fct_margin_position.favourable_usd IS 'USD at the high for collateral, at the low for debt';
COMMENT ON COLUMN public.fct_margin_position.kept_maintenance IS 'Maintenance margin: the share of collateral left before the market takes its part, or the fixed factor of debt';
COMMENT ON COLUMN public.fct_margin_position.kept_initial IS 'The same for the initial margin';
COMMENT ON COLUMN public.fct_margin_position.market_maintenance IS 'Maintenance margin: the share of what is kept that the market may take, or what it may add to a debt';
COMMENT ON COLUMN public.fct_margin_position.market_initial IS 'The same for the initial margin';

CREATE VIEW public.fct_margin_account AS
WITH risked AS (
    SELECT
        w.account, w.leg, w.is_debt, w.identity, w.unpriced, w.amount * w.mid AS mid_usd,
        w.amount * w.mid * w.kept_maintenance AS a0, w.amount * w.adverse * w.kept_maintenance AS a1,
        w.amount * w.favourable * w.kept_maintenance AS a2, w.amount * w.authorising * w.kept_initial AS a3,
        w.amount * w.mid * CASE WHEN w.is_debt THEN 1 ELSE w.kept_maintenance END * w.taken_maintenance AS r0,
        w.amount * w.adverse * CASE WHEN w.is_debt THEN 1 ELSE w.kept_maintenance END * w.taken_maintenance AS r1,
        w.amount * w.favourable * CASE WHEN w.is_debt THEN 1 ELSE w.kept_maintenance END * w.taken_maintenance AS r2,
        w.amount * w.authorising * CASE WHEN w.is_debt THEN 1 ELSE w.kept_initial END * w.taken_initial AS r3
    FROM main.margin_weighed AS w
),
added AS (
    SELECT
        account,
        bool_or(unpriced AND NOT is_debt) AS collateral_unpriced, bool_or(unpriced AND is_debt) AS debt_unpriced,
        sum(CASE WHEN is_debt THEN 0 ELSE mid_usd END) AS collateral, sum(CASE WHEN is_debt THEN mid_usd ELSE 0 END) AS debt,
        sum(CASE WHEN is_debt THEN 0 ELSE a0 END) AS a0,
        sum(CASE WHEN is_debt THEN 0 ELSE a1 END) AS a1,
        sum(CASE WHEN is_debt THEN 0 ELSE a2 END) AS a2,
        sum(CASE WHEN is_debt THEN 0 ELSE a3 END) AS a3,
        sum(CASE WHEN is_debt THEN a0 ELSE 0 END) AS b0,
        sum(CASE WHEN is_debt THEN a1 ELSE 0 END) AS b1,
        sum(CASE WHEN is_debt THEN a2 ELSE 0 END) AS b2,
        sum(CASE WHEN is_debt THEN a3 ELSE 0 END) AS b3,
        sum(CASE WHEN is_debt THEN 0 ELSE r0 END) AS f0,
        sum(CASE WHEN is_debt THEN 0 ELSE r1 END) AS f1,
        sum(CASE WHEN is_debt THEN 0 ELSE r2 END) AS f2,
        sum(CASE WHEN is_debt THEN 0 ELSE r3 END) AS f3,
        sum(CASE WHEN is_debt THEN r0 ELSE 0 END) AS g0,
        sum(CASE WHEN is_debt THEN r1 ELSE 0 END) AS g1,
        sum(CASE WHEN is_debt THEN r2 ELSE 0 END) AS g2,
        sum(CASE WHEN is_debt THEN r3 ELSE 0 END) AS g3
    FROM risked
    GROUP BY account
),
pairs AS (
    SELECT
        l.account, CASE WHEN l.is_debt <> o.is_debt THEN 2 WHEN l.is_debt THEN 1 ELSE 0 END AS among,
        CASE WHEN l.leg = o.leg OR l.is_debt <> o.is_debt THEN 1 ELSE 2 END * c.correlation AS first,
        CASE WHEN l.leg = o.leg OR l.is_debt <> o.is_debt THEN 1 ELSE 2 END
            * (c.correlation * c.correlation * c.correlation) AS third,
        l.r0 * o.r0 AS r0, l.r1 * o.r1 AS r1, l.r2 * o.r2 AS r2, l.r3 * o.r3 AS r3
    FROM risked AS l
    JOIN risked AS o ON o.account = l.account AND o.leg <= l.leg
    JOIN main.margin_correlation AS c ON c.identity = l.identity AND c.other = o.identity
    WHERE l.r0 + l.r2 + l.r3 > 0 AND o.r0 + o.r2 + o.r3 > 0
),
among AS (
    SELECT
        account, among,
        sum(first * r0) AS first0, sum(first * r1) AS first1, sum(first * r2) AS first2, sum(first * r3) AS first3,
        sum(third * r0) AS third0, sum(third * r1) AS third1, sum(third * r2) AS third2, sum(third * r3) AS third3
    FROM pairs
    GROUP BY account, among
),
forms AS (
    SELECT
        account,
        coalesce(max(CASE WHEN among = 0 THEN first0 END), 0) AS c0_first,
        coalesce(max(CASE WHEN among = 0 THEN third0 END), 0) AS c0_third,
        coalesce(max(CASE WHEN among = 1 THEN first0 END), 0) AS d0_first,
        coalesce(max(CASE WHEN among = 1 THEN third0 END), 0) AS d0_third,
        coalesce(max(CASE WHEN among = 2 THEN first0 END), 0) AS x0_first,
        coalesce(max(CASE WHEN among = 2 THEN third0 END), 0) AS x0_third,
        coalesce(max(CASE WHEN among = 0 THEN first1 END), 0) AS c1_first,
        coalesce(max(CASE WHEN among = 0 THEN third1 END), 0) AS c1_third,
        coalesce(max(CASE WHEN among = 1 THEN first1 END), 0) AS d1_first,
        coalesce(max(CASE WHEN among = 1 THEN third1 END), 0) AS d1_third,
        coalesce(max(CASE WHEN among = 2 THEN first1 END), 0) AS x1_first,
        coalesce(max(CASE WHEN among = 2 THEN third1 END), 0) AS x1_third,
        coalesce(max(CASE WHEN among = 0 THEN first2 END), 0) AS c2_first,
        coalesce(max(CASE WHEN among = 0 THEN third2 END), 0) AS c2_third,
        coalesce(max(CASE WHEN among = 1 THEN first2 END), 0) AS d2_first,
        coalesce(max(CASE WHEN among = 1 THEN third2 END), 0) AS d2_third,
        coalesce(max(CASE WHEN among = 2 THEN first2 END), 0) AS x2_first,
        coalesce(max(CASE WHEN among = 2 THEN third2 END), 0) AS x2_third,
        coalesce(max(CASE WHEN among = 0 THEN first3 END), 0) AS c3_first,
        coalesce(max(CASE WHEN among = 0 THEN third3 END), 0) AS c3_third,
        coalesce(max(CASE WHEN among = 1 THEN first3 END), 0) AS d3_first,
        coalesce(max(CASE WHEN among = 1 THEN third3 END), 0) AS d3_third,
        coalesce(max(CASE WHEN among = 2 THEN first3 END), 0) AS x3_first,
        coalesce(max(CASE WHEN among = 2 THEN third3 END), 0) AS x3_third
    FROM among
    GROUP BY account
),
summed AS (
    SELECT
        m.account, m.account_id, m.has_debt AS owes, m.debt_unknown AS unheard, m.apart AS alone, m.claimed AS bound, (1 - s.kappa) * (1 - s.kappa) AS part,
        coalesce(t.collateral_unpriced, FALSE) AS collateral_unpriced, coalesce(t.debt_unpriced, FALSE) AS debt_unpriced,
        m.collateral_usd + coalesce(t.collateral, 0) AS collateral, m.debt_usd + coalesce(t.debt, 0) AS debt,
        m.maintenance_debt_usd + coalesce(t.b0, 0) AS required,
        m.maintenance_collateral_usd + coalesce(t.a0, 0) - s.kappa * coalesce(t.f0, 0) AS p0,
        m.maintenance_debt_usd + coalesce(t.b0, 0) + s.kappa * coalesce(t.g0, 0) AS q0,
        coalesce(t.f0, 0) AS f0, coalesce(t.g0, 0) AS g0,
        m.maintenance_collateral_usd + coalesce(t.a1, 0) - s.kappa * coalesce(t.f1, 0) AS p1,
        m.maintenance_debt_usd + coalesce(t.b1, 0) + s.kappa * coalesce(t.g1, 0) AS q1,
        coalesce(t.f1, 0) AS f1, coalesce(t.g1, 0) AS g1,
        m.maintenance_collateral_usd + coalesce(t.a2, 0) - s.kappa * coalesce(t.f2, 0) AS p2,
        m.maintenance_debt_usd + coalesce(t.b2, 0) + s.kappa * coalesce(t.g2, 0) AS q2,
        coalesce(t.f2, 0) AS f2, coalesce(t.g2, 0) AS g2,
        m.initial_collateral_usd + coalesce(t.a3, 0) - s.kappa * coalesce(t.f3, 0) AS p3,
        m.initial_debt_usd + coalesce(t.b3, 0) + s.kappa * coalesce(t.g3, 0) AS q3,
        coalesce(t.f3, 0) AS f3, coalesce(t.g3, 0) AS g3
    FROM main.margin_holder AS m
    CROSS JOIN main.margin_snapshot AS s
    LEFT JOIN added AS t ON t.account = m.account
),
worst AS (
    SELECT
        a.account,
        min(
            public.margin_multiple(
                a.p0, a.q0,
                a.part * (k.ones * a.f0 * a.f0 + k.first * w.c0_first + k.third * w.c0_third),
                a.part * (k.ones * a.g0 * a.g0 + k.first * w.d0_first + k.third * w.d0_third),
                a.part * k.offset_share * (k.ones * a.f0 * a.g0 + k.first * w.x0_first + k.third * w.x0_third)
            )
        ) AS factor0,
        min(
            public.margin_excess(
                a.p0, a.q0,
                a.part * (k.ones * a.f0 * a.f0 + k.first * w.c0_first + k.third * w.c0_third),
                a.part * (k.ones * a.g0 * a.g0 + k.first * w.d0_first + k.third * w.d0_third),
                a.part * k.offset_share * (k.ones * a.f0 * a.g0 + k.first * w.x0_first + k.third * w.x0_third)
            )
        ) AS excess0,
        min(
            public.margin_multiple(
                a.p1, a.q1,
                a.part * (k.ones * a.f1 * a.f1 + k.first * w.c1_first + k.third * w.c1_third),
                a.part * (k.ones * a.g1 * a.g1 + k.first * w.d1_first + k.third * w.d1_third),
                a.part * k.offset_share * (k.ones * a.f1 * a.g1 + k.first * w.x1_first + k.third * w.x1_third)
            )
        ) AS factor1,
        min(
            public.margin_multiple(
                a.p2, a.q2,
                a.part * (k.ones * a.f2 * a.f2 + k.first * w.c2_first + k.third * w.c2_third),
                a.part * (k.ones * a.g2 * a.g2 + k.first * w.d2_first + k.third * w.d2_third),
                a.part * k.offset_share * (k.ones * a.f2 * a.g2 + k.first * w.x2_first + k.third * w.x2_third)
            )
        ) AS factor2,
        min(
            public.margin_excess(
                a.p3, a.q3,
                a.part * (k.ones * a.f3 * a.f3 + k.first * w.c3_first + k.third * w.c3_third),
                a.part * (k.ones * a.g3 * a.g3 + k.first * w.d3_first + k.third * w.d3_third),
                a.part * k.offset_share * (k.ones * a.f3 * a.g3 + k.first * w.x3_first + k.third * w.x3_third)
            )
        ) AS excess3
    FROM summed AS a
    JOIN forms AS w ON w.account = a.account
    CROSS JOIN main.margin_case AS k
    GROUP BY a.account
),
judged AS (
    SELECT
        a.account, a.account_id, a.owes, a.alone, a.collateral_unpriced, a.collateral, a.debt, a.required,
        NOT (a.alone OR a.unheard OR a.debt_unpriced OR (a.bound AND a.collateral_unpriced)) AS known,
        coalesce(w.factor0, public.margin_multiple(a.p0, a.q0, 0, 0, 0)) AS factor0,
        coalesce(w.factor1, public.margin_multiple(a.p1, a.q1, 0, 0, 0)) AS factor1,
        coalesce(w.factor2, public.margin_multiple(a.p2, a.q2, 0, 0, 0)) AS factor2,
        coalesce(w.excess0, a.p0 - a.q0) AS excess0,
        coalesce(w.excess3, a.p3 - a.q3) AS excess3
    FROM summed AS a
    LEFT JOIN worst AS w ON w.account = a.account
)
SELECT
    j.account_id,
    CASE WHEN known AND owes THEN factor0 END AS health_factor,
    CASE WHEN known AND owes THEN least(factor0, factor1) END AS health_factor_low,
    CASE WHEN known AND owes AND NOT collateral_unpriced THEN greatest(factor0, factor2) END AS health_factor_high,
    CASE WHEN NOT alone THEN collateral END AS collateral_usd,
    CASE WHEN known THEN debt END AS debt_usd,
    CASE WHEN known THEN excess3 END AS headroom_usd,
    CASE WHEN known THEN required END AS maintenance_debt_usd,
    CASE WHEN known THEN excess0 END AS maintenance_excess_usd,
    s.snapshot_id,
    make_timestamp(s.slot_time * 1000000) AS slot_time
FROM judged AS j
CROSS JOIN main.margin_snapshot AS s;
COMMENT ON VIEW public.fct_margin_account IS 'The margin model by itself in SQL: the house numbers of every account of the newest snapshot, computed from its positions, marks and weights as docs/methodology.md defines them. DOUBLE; published numbers are rounded to the safe side.';
COMMENT ON COLUMN public.fct_margin_account.account_id IS 'Margin account, or CAIP-10 id of an owner';
COMMENT ON COLUMN public.fct_margin_account.health_factor IS 'The multiple that all debt could grow to, at the middle of all marks; NULL without debt, or while debt is unknown or unpriced';
COMMENT ON COLUMN public.fct_margin_account.health_factor_low IS 'The same with collateral at the low and debt at the high of their marks';
COMMENT ON COLUMN public.fct_margin_account.health_factor_high IS 'The same with collateral at the high and debt at the low; NULL while collateral is unpriced';
COMMENT ON COLUMN public.fct_margin_account.collateral_usd IS 'Counted and priced collateral at the middle, USD; NULL where pools stand apart';
COMMENT ON COLUMN public.fct_margin_account.debt_usd IS 'Debt at the middle, USD; NULL while it is unknown';
COMMENT ON COLUMN public.fct_margin_account.headroom_usd IS 'What is left of the initial margin, USD, collateral at the low and debt at the high; negative where something lacks';
COMMENT ON COLUMN public.fct_margin_account.maintenance_debt_usd IS 'What the maintenance margin requires before market moves, USD';
COMMENT ON COLUMN public.fct_margin_account.maintenance_excess_usd IS 'What is left of the maintenance margin at the middle, USD; negative just where health_factor is below 1, but for rounding';
COMMENT ON COLUMN public.fct_margin_account.snapshot_id IS 'Snapshot that it is of; joins snapshot';
COMMENT ON COLUMN public.fct_margin_account.slot_time IS 'When that snapshot was due, UTC';
COMMENT ON MACRO public.margin_sold IS 'margin_sold(held, sale, slope): the share left of selling what is worth held USD at once.';
COMMENT ON MACRO public.margin_left IS 'margin_left(static, market, others, least): the share of collateral that its class and all layers leave.';
COMMENT ON MACRO public.margin_taken IS 'margin_taken(remaining, market): the part of it that the market takes, and that may diversify.';
COMMENT ON MACRO public.margin_kept IS 'margin_kept(remaining, market): what is kept before the market takes its part.';
COMMENT ON MACRO public.margin_multiple IS 'margin_multiple(p, q, c, d, x): the largest s with p - s q = sqrt(c - 2 s x + s² d), at most 10¹²: the health factor in one case of correlation.';
COMMENT ON MACRO public.margin_excess IS 'margin_excess(p, q, c, d, x): what is left at s = 1.';
