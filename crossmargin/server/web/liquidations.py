"""What liquidations come to after a scenario, or after the market stood still; and what one account may do before."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote, urlencode

from aggregator.audit.report.page import Html, figures, text
from crossmargin.documents import Document, symbol
from crossmargin.server.web.figures import amount, factor, market, percent, usd_up
from crossmargin.server.web.frame import Grid, Page, chain_warnings, link, listed, titled, whole, with_doubts

PATH = "/ui/risk/liquidations"
ORDERS = (
    "order of sale",
    "units",
    "rounds",
    "sold USD",
    "lost in sales USD",
    "accounts lose USD",
    "bad debt USD",
    "lenders lose USD",
    "left",
)
FREEZES = ("days", "interest USD", "units", "accounts lose USD", "bad debt USD", "lenders lose USD", "left")
POOLS = ("venue", "market", "bad debt USD", "lenders lose USD", "share")
ADVICE = ("do", "moved USD", "cost USD", "health after", "gain", "per 1,000 USD", "by cost")


def liquidations(document: Document, frozen: Document, standing: Document, scenario: str) -> Page:
    """Compare orders of sale and freezes of one scenario; `scenario`: its name, empty for current prices."""
    found = document["scenario"]
    return Page(
        path=PATH,
        title="Liquidations",
        lead="Simulated liquidations, round by round until nothing more happens. Nothing is executed.",
        as_of=with_doubts(document["as_of"], standing),
        warnings=chain_warnings(standing),
        asked=urlencode({"scenario": scenario}) if scenario else "",
        forms=True,
        parts=[
            _chosen(scenario),
            figures(
                [
                    ("Scenario", "current prices" if found is None else found["name"]),
                    ("Order given below", document["terms"]["order"].replace("_", " ")),
                    (
                        "Not in any total",
                        f"{document['units_left_out']:,} of {document['units_with_debt']:,} units with debt",
                    ),
                    ("Policy", titled(document["policy"][:15], document["policy"])),
                ]
            ),
            _orders(document["orders"]),
            _pools(document["pools"]),
            _freezes(frozen["freezes"]),
            _rules(document, frozen),
        ],
    )


def advice(document: Document, standing: Document) -> Page:
    """Rank what one account may do."""
    account, most = document["account"], Decimal(document["budget_usd"])
    return Page(
        path=f"/ui/accounts/{quote(account, safe='')}/advice",
        title=f"Advice for {account}",
        lead=f"What moves it away from liquidation, using up to {most:,.0f} USD. Nothing is executed or signed.",
        as_of=with_doubts(document["as_of"], standing),
        warnings=chain_warnings(standing),
        parts=[
            figures([("Health", factor(document["health"])), ("Tried without effect", document["useless"])]),
            _advice(document["advice"]),
            Html(f"<section><h2>Rules used</h2>{listed(document['rules'])}</section>"),
        ],
    )


def _chosen(scenario: str) -> Html:
    return Html(
        f'<form class="row" action="{PATH}" method="get"><label>Scenario <input name="scenario" maxlength="160" '
        f'placeholder="covid-2020" value="{text(scenario)}"></label><button type="submit">Simulate</button> '
        f"{link('/ui/risk', 'All scenarios')}</form>"
    )


def _orders(orders: Sequence[Document]) -> Grid:
    names = ("order", "liquidated_units", "rounds", "sold_usd", "impact_usd", "accounts_lose_usd")
    more = ("bad_debt_usd", "lenders_lose_usd", "standing_units")
    return Grid(
        name="orders",
        title="Orders of sale",
        columns=ORDERS,
        rows=[
            (
                each["order"].replace("_", " "),
                each["liquidated_units"],
                each["rounds"] if each["ended"] else f"{each['rounds']}+",
                *(usd_up(each[name]) for name in (*names[3:], *more[:2])),
                each["standing_units"],
            )
            for each in orders
        ],
        plain=[tuple(each[name] for name in (*names, *more)) for each in orders],
        numbers=frozenset(ORDERS[1:]),
        note="Selling the least liquid assets first moves losses from lenders to owners. “Left” counts units that can still be liquidated; "
        "a plus after the rounds means that the simulation stopped early and losses are at least these.",
    )


def _pools(pools: Sequence[Document]) -> Grid:
    return Grid(
        name="pools",
        title="Bad debt by pool",
        columns=POOLS,
        rows=[
            (
                each["venue"],
                market(each),
                usd_up(each["bad_debt_usd"]),
                usd_up(each["lenders_lose_usd"]),
                percent(each["lenders_share"]),
            )
            for each in pools
        ],
        plain=[
            (each["venue"], each["market"], each["bad_debt_usd"], each["lenders_lose_usd"], each["lenders_share"])
            for each in pools
        ],
        numbers=frozenset(POOLS[2:]),
        note="A loss stays in its pool. The share is of the amount lent there, where that is known.",
    )


def _freezes(freezes: Sequence[Document]) -> Grid:
    names = ("days", "interest_usd", "liquidated_units", "accounts_lose_usd", "bad_debt_usd", "lenders_lose_usd")
    return Grid(
        name="freezes",
        title="After a market standstill",
        columns=FREEZES,
        rows=[
            (
                each["days"],
                usd_up(each["interest_usd"]),
                each["liquidated_units"],
                *(usd_up(each[name]) for name in names[3:]),
                each["standing_units"],
            )
            for each in freezes
        ],
        plain=[tuple(each[name] for name in (*names, "standing_units")) for each in freezes],
        numbers=frozenset(FREEZES),
        note="Prices stay and nobody acts for the given days; then the scenario happens and everyone is liquidated at once.",
    )


def _rules(document: Document, frozen: Document) -> Html:
    rules = dict.fromkeys([*document["rules"], *frozen["rules"]])
    missing = [
        f"{each['units']:,} units at {each['venue']}: {each['detail']}" for each in document["left_out_by_reason"]
    ]
    assumed = [f"{each} is sold at the discount that the policy states for its class" for each in document["assumed"]]
    return Html(
        f"<section><h2>Rules used</h2>{listed(rules)}</section>"
        f"<section><h2>Left out and assumed</h2>{listed([*missing, *assumed]) or text('Nothing.')}</section>"
    )


def _advice(found: Sequence[Document]) -> Grid:
    names = ("moved_usd", "cost_usd", "health_after", "gain", "gain_per_thousand_usd", "rank_by_cost")
    return Grid(
        name="advice",
        title="Best first",
        columns=ADVICE,
        rows=[
            (
                _done(each),
                usd_up(each["moved_usd"]),
                usd_up(each["cost_usd"]),
                factor(each["health_after"]),
                each["gain"],
                each["gain_per_thousand_usd"],
                each["rank_by_cost"],
            )
            for each in found
        ],
        plain=[(_actions(each), *(each[name] for name in names)) for each in found],
        numbers=frozenset(ADVICE[1:]),
        note="Ranked by gain in health per dollar moved; health is the lowest of the house's, its pools' and the units' health factors.",
    )


def _done(found: Document) -> Html:
    done = "; ".join(
        f"{text(each['kind'])} {amount(each['tokens'], up=True)} {_token(each)} at {whole(each['venue'])}"
        for each in found["actions"]
    )
    return Html(f"{done} (from outside)" if found["outside"] else done)


def _token(action: Document) -> Html:
    return titled(symbol(action["symbol"]) or action["asset"], action["asset"])


def _actions(found: Document) -> str:
    done = "; ".join(f"{each['kind']} {each['tokens']} {each['asset']} at {each['venue']}" for each in found["actions"])
    return f"{done} (from outside)" if found["outside"] else done
