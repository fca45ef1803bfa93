-- The same view with fewer passes: what one token of a leg counts for is worked out once for each leg, products of pairs are of rows that
-- are made once, and joins are by numbers. `a`, `b`: what counts and what is required before the market takes its part; `f`, `g`: that
-- part; 0 to 3: the maintenance margin at the mid, the low and the high, and the initial one at the low.
CREATE OR REPLACE VIEW public.fct_margin_account AS
WITH token AS MATERIALIZED (
    SELECT
        leg, is_debt, NOT is_debt AND slope > 0 AS sized, unpriced, mid, adverse, favourable, authorising,
        CASE WHEN is_debt THEN 0 ELSE mid END AS held, CASE WHEN is_debt THEN mid ELSE 0 END AS owed,
        CASE WHEN is_debt THEN 0 ELSE mid * kept_maintenance END AS a0,
        CASE WHEN is_debt THEN 0 ELSE adverse * kept_maintenance END AS a1,
        CASE WHEN is_debt THEN 0 ELSE favourable * kept_maintenance END AS a2,
        CASE WHEN is_debt THEN 0 ELSE authorising * kept_initial END AS a3,
        CASE WHEN is_debt THEN mid * kept_maintenance ELSE 0 END AS b0,
        CASE WHEN is_debt THEN adverse * kept_maintenance ELSE 0 END AS b1,
        CASE WHEN is_debt THEN favourable * kept_maintenance ELSE 0 END AS b2,
        CASE WHEN is_debt THEN authorising * kept_initial ELSE 0 END AS b3,
        CASE WHEN is_debt THEN 0 ELSE mid * kept_maintenance * taken_maintenance END AS f0,
        CASE WHEN is_debt THEN 0 ELSE adverse * kept_maintenance * taken_maintenance END AS f1,
        CASE WHEN is_debt THEN 0 ELSE favourable * kept_maintenance * taken_maintenance END AS f2,
        CASE WHEN is_debt THEN 0 ELSE authorising * kept_initial * taken_initial END AS f3,
        CASE WHEN is_debt THEN mid * taken_maintenance ELSE 0 END AS g0,
        CASE WHEN is_debt THEN adverse * taken_maintenance ELSE 0 END AS g1,
        CASE WHEN is_debt THEN favourable * taken_maintenance ELSE 0 END AS g2,
        CASE WHEN is_debt THEN authorising * taken_initial ELSE 0 END AS g3
    FROM main.margin_token
),
sale AS MATERIALIZED (
    SELECT
        s.account, s.leg, t.unpriced, s.amount * t.mid AS held,
        s.amount * t.mid * s.kept_maintenance AS a0,
        s.amount * t.adverse * s.kept_maintenance AS a1,
        s.amount * t.favourable * s.kept_maintenance AS a2,
        s.amount * t.authorising * s.kept_initial AS a3,
        s.amount * t.mid * s.kept_maintenance * s.taken_maintenance AS f0,
        s.amount * t.adverse * s.kept_maintenance * s.taken_maintenance AS f1,
        s.amount * t.favourable * s.kept_maintenance * s.taken_maintenance AS f2,
        s.amount * t.authorising * s.kept_initial * s.taken_initial AS f3
    FROM main.margin_sale AS s
    JOIN token AS t ON t.leg = s.leg
),
counted AS (
    SELECT
        p.account, t.is_debt, t.unpriced,
        p.amount * t.held AS held, p.amount * t.owed AS owed, p.amount * t.a0 AS a0, p.amount * t.a1 AS a1, p.amount * t.a2 AS a2, p.amount * t.a3 AS a3,
        p.amount * t.b0 AS b0, p.amount * t.b1 AS b1, p.amount * t.b2 AS b2, p.amount * t.b3 AS b3,
        p.amount * t.f0 AS f0, p.amount * t.f1 AS f1, p.amount * t.f2 AS f2, p.amount * t.f3 AS f3,
        p.amount * t.g0 AS g0, p.amount * t.g1 AS g1, p.amount * t.g2 AS g2, p.amount * t.g3 AS g3
    FROM main.margin_position AS p
    JOIN token AS t ON t.leg = p.leg
    WHERE NOT t.sized
    UNION ALL
    SELECT
        account, FALSE AS is_debt, unpriced, held, 0 AS owed, a0, a1, a2, a3, 0 AS b0, 0 AS b1, 0 AS b2, 0 AS b3,
        f0, f1, f2, f3, 0 AS g0, 0 AS g1, 0 AS g2, 0 AS g3
    FROM sale
),
added AS (
    SELECT
        account,
        bool_or(unpriced AND NOT is_debt) AS collateral_unpriced, bool_or(unpriced AND is_debt) AS debt_unpriced,
        sum(held) AS collateral, sum(owed) AS debt,
        sum(a0) AS a0, sum(a1) AS a1, sum(a2) AS a2, sum(a3) AS a3,
        sum(b0) AS b0, sum(b1) AS b1, sum(b2) AS b2, sum(b3) AS b3,
        sum(f0) AS f0, sum(f1) AS f1, sum(f2) AS f2, sum(f3) AS f3,
        sum(g0) AS g0, sum(g1) AS g1, sum(g2) AS g2, sum(g3) AS g3
    FROM counted
    GROUP BY account
),
risked AS MATERIALIZED (
    SELECT p.account, p.leg, p.amount * (t.f0 + t.g0) AS r0, p.amount * (t.f1 + t.g1) AS r1, p.amount * (t.f2 + t.g2) AS r2, p.amount * (t.f3 + t.g3) AS r3
    FROM main.margin_position AS p
    JOIN token AS t ON t.leg = p.leg
    WHERE NOT t.sized AND t.f0 + t.f2 + t.f3 + t.g0 + t.g2 + t.g3 > 0
    UNION ALL
    SELECT account, leg, f0 AS r0, f1 AS r1, f2 AS r2, f3 AS r3 FROM sale WHERE f0 + f2 + f3 > 0
),
paired AS (
    SELECT
        l.leg, o.leg AS other, l.identity, o.identity AS beside,
        CASE WHEN l.is_debt <> o.is_debt THEN 2 WHEN l.is_debt THEN 1 ELSE 0 END AS among,
        CASE WHEN l.leg = o.leg OR l.is_debt <> o.is_debt THEN 1 ELSE 2 END AS times
    FROM main.margin_leg AS l
    JOIN main.margin_leg AS o ON o.leg <= l.leg
    WHERE l.leg IN (SELECT leg FROM risked) AND o.leg IN (SELECT leg FROM risked)
),
pair AS MATERIALIZED (
    SELECT
        l.leg, l.other,
        CASE WHEN l.among = 0 THEN l.times * c.correlation ELSE 0 END AS c_first,
        CASE WHEN l.among = 0 THEN l.times * (c.correlation * c.correlation * c.correlation) ELSE 0 END AS c_third,
        CASE WHEN l.among = 1 THEN l.times * c.correlation ELSE 0 END AS d_first,
        CASE WHEN l.among = 1 THEN l.times * (c.correlation * c.correlation * c.correlation) ELSE 0 END AS d_third,
        CASE WHEN l.among = 2 THEN l.times * c.correlation ELSE 0 END AS x_first,
        CASE WHEN l.among = 2 THEN l.times * (c.correlation * c.correlation * c.correlation) ELSE 0 END AS x_third
    FROM paired AS l
    JOIN main.margin_correlation AS c ON c.identity = l.identity AND c.other = l.beside
),
forms AS (
    SELECT
        l.account,
        sum(c.c_first * (l.r0 * o.r0)) AS c0_first, sum(c.c_third * (l.r0 * o.r0)) AS c0_third,
        sum(c.c_first * (l.r1 * o.r1)) AS c1_first, sum(c.c_third * (l.r1 * o.r1)) AS c1_third,
        sum(c.c_first * (l.r2 * o.r2)) AS c2_first, sum(c.c_third * (l.r2 * o.r2)) AS c2_third,
        sum(c.c_first * (l.r3 * o.r3)) AS c3_first, sum(c.c_third * (l.r3 * o.r3)) AS c3_third,
        sum(c.d_first * (l.r0 * o.r0)) AS d0_first, sum(c.d_third * (l.r0 * o.r0)) AS d0_third,
        sum(c.d_first * (l.r1 * o.r1)) AS d1_first, sum(c.d_third * (l.r1 * o.r1)) AS d1_third,
        sum(c.d_first * (l.r2 * o.r2)) AS d2_first, sum(c.d_third * (l.r2 * o.r2)) AS d2_third,
        sum(c.d_first * (l.r3 * o.r3)) AS d3_first, sum(c.d_third * (l.r3 * o.r3)) AS d3_third,
        sum(c.x_first * (l.r0 * o.r0)) AS x0_first, sum(c.x_third * (l.r0 * o.r0)) AS x0_third,
        sum(c.x_first * (l.r1 * o.r1)) AS x1_first, sum(c.x_third * (l.r1 * o.r1)) AS x1_third,
        sum(c.x_first * (l.r2 * o.r2)) AS x2_first, sum(c.x_third * (l.r2 * o.r2)) AS x2_third,
        sum(c.x_first * (l.r3 * o.r3)) AS x3_first, sum(c.x_third * (l.r3 * o.r3)) AS x3_third
    FROM risked AS l
    JOIN risked AS o ON o.account = l.account AND o.leg <= l.leg
    JOIN pair AS c ON c.leg = l.leg AND c.other = o.leg
    GROUP BY l.account
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
