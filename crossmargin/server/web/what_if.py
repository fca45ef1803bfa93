"""What if: one account beside itself after actions and moves of prices. Sliders write into two fields of text, which say all there is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote, urlencode

from aggregator.audit.report.page import Html, text
from crossmargin.documents import Document
from crossmargin.server.web.figures import factor, usd_down, usd_up
from crossmargin.server.web.frame import Grid, Page, chain_warnings, link, listed, status, with_doubts
from crossmargin.server.web.frame import status as status_of

LOWEST, HIGHEST = -99, 100
"""Percent that a price may move by a slider; in the field, as far as anybody likes."""

COLUMNS = ("number", "before", "after")
KINDS = {"supply": ("withdraw", "supply"), "borrow": ("repay", "borrow")}
"""What a slider does below and above the middle, by side."""


def path_of(account: str) -> str:
    return f"/ui/accounts/{quote(account, safe='')}/what-if"


def what_if(health: Document, found: Document | None, asked: tuple[str, str], standing: Document) -> Page:
    """Show an account's sliders and, where something is to change, what comes of it; `asked`: actions and shocks as text."""
    account = health["account"]
    return Page(
        path=path_of(account),
        title=f"What if for {account}",
        lead="The account after hypothetical actions and price moves. Nothing is executed or signed.",
        as_of=with_doubts(health["as_of"], standing),
        warnings=chain_warnings(standing),
        asked=urlencode({name: said for name, said in zip(("do", "shock"), asked, strict=True) if said}),
        forms=True,
        parts=[_form(health, found, asked), *(() if found is None else _outcome(found))],
    )


def _form(health: Document, found: Document | None, asked: tuple[str, str]) -> Html:
    sliders = "".join((*_prices(health, found), *_amounts(health, found)))
    here = path_of(health["account"])
    return Html(
        f'<form class="row" id="what-if" action="{text(here)}"><fieldset class="sliders" hidden>'
        f"<legend>Percent</legend>{sliders}</fieldset>"
        '<label>Actions <input name="do" maxlength="2000" placeholder="repay:venue:USDC=250" '
        f'value="{text(asked[0])}"></label>'
        f'<label>Price moves <input name="shock" maxlength="2000" placeholder="ETH=-0.3" value="{text(asked[1])}"></label>'
        f'<button type="submit">Show</button> {link(here, "Nothing changes")} '
        f"{link(here.removesuffix('what-if') + 'advice', 'Advice')}</form>"
    )


def _prices(health: Document, found: Document | None) -> Iterator[str]:
    moved = {} if found is None else found["shocks"]
    for identity in sorted({each["identity"] for each in health["prices"]}):
        percent = round(Decimal(moved.get(identity, "0")) * 100)
        yield _slider(identity, percent, {"shock": identity})


def _amounts(health: Document, found: Document | None) -> Iterator[str]:
    done = [] if found is None else found["actions"]
    for venue in health["venues"]:
        for position in (position for unit in venue["units"] for position in unit["positions"]):
            less, more = KINDS[position["side"]]
            there, percent = Decimal(position["amount"]), Decimal(0)
            for action in done:
                if (action["venue"], action["asset"]) == (venue["venue"], position["asset"]) and there:
                    sign = {less: -1, more: 1}.get(action["kind"], 0)
                    percent += sign * Decimal(action["tokens"]) / there * 100
            subject = f"{venue['venue']}:{position['asset']}="
            told = {"less": f"{less}:{subject}", "more": f"{more}:{subject}", "tokens": position["amount"]}
            yield _slider(
                f"{less} or {more} {position['symbol']} at {venue['venue']}", round(percent), told, lowest=-100
            )


def _slider(name: str, percent: int, told: dict[str, str], lowest: int = LOWEST) -> str:
    facts = "".join(f' data-{key}="{text(value)}"' for key, value in told.items())
    return (
        f'<label>{text(name)} <input type="range" min="{lowest}" max="{HIGHEST}" step="1" '
        f'value="{min(max(percent, lowest), HIGHEST)}"{facts}><output>{percent} %</output></label>'
    )


def _outcome(found: Document) -> Iterator[Html | Grid]:
    before, after = found["before"], found["after"]
    yield Html(f'<p class="lead">{status(before["status"])} → {status(after["status"])}</p>')
    rows = [
        ("status", status_of(before["status"]), status_of(after["status"])),
        *((name.replace("_", " "), factor(before[name]), factor(after[name])) for name in FACTORS),
        ("score", before["score"], after["score"]),
        *((f"{name} USD", usd_down(before[key]), usd_down(after[key])) for name, key in DOWN),
        ("debt USD", usd_up(before["debt_usd"]), usd_up(after["debt_usd"])),
    ]
    plain = [(name, before[name], after[name]) for name in ("status", *FACTORS, "score", "headroom")]
    old = {(each["venue"], each["unit_id"]): each for each in before["units"]}
    for unit in after["units"]:
        was = old[unit["venue"], unit["unit_id"]]
        rows.append((f"{unit['venue']} health factor", factor(was["health_factor"]), factor(unit["health_factor"])))
        plain.append((f"{unit['venue']} health factor", was["health_factor"], unit["health_factor"]))
    yield Grid(
        name="outcome",
        title="Before and after",
        columns=COLUMNS,
        rows=rows,
        plain=[*plain, *((key, before[key], after[key]) for key in ("collateral_usd", "debt_usd"))],
        numbers=frozenset(COLUMNS[1:]),
    )
    said = [f"{each['code']}: {each['detail']}" for each in (*found["notes"], *after["reasons"])]
    yield Html(f"<section><h2>Notes</h2>{listed(said) or text('Nothing.')}</section>")


FACTORS = ("health_factor", "min_unit_health_factor")
DOWN = (("headroom", "headroom"), ("collateral", "collateral_usd"))
