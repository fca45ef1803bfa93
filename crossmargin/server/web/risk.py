"""What the newest run over the whole book came to, and which haircuts the prices that were would have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any

from aggregator.audit.report.page import Html, figures, text
from aggregator.margin.numbers import rounded
from crossmargin.documents import Document
from crossmargin.risk_runs import NOT_LIQUIDATED
from crossmargin.server.web.figures import percent, usd_up
from crossmargin.server.web.frame import Grid, Page, chain_warnings, link, listed, standing_at, status, with_doubts

PATH, ADVICE = "/ui/risk", "/ui/risk/haircuts"
HORIZONS = ("1h", "24h", "7d")
WATCHED = 100
"""Accounts of the watch list on the page."""

KINDS = {
    "": "All",
    "window": "What happened",
    "grid": "Uniform falls",
    "failure": "Something fails",
    "together": "Perfect correlation",
}
SHOWN = ("window", "failure", "together", "grid")
SHADES = (0.0, 0.001, 0.01, 0.05, 0.2)
"""Shares of all debt that is lacking, from which on a cell is darker."""

WIDTH, HEIGHT, LEFT, BOTTOM = 680, 220, 60, 24
ENTERING = (
    '<p class="soft">No draft has been entered. <code>crossmargin haircuts recommend --out FILE</code> writes the draft, '
    "<code>policy schedule</code> enters it.</p>"
)
NONE_YET = "No risk run yet: start one with crossmargin risk-run, or set a schedule under [risk]."


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The newest run, by its views; each list of rows as the view has them."""

    head: Mapping[str, Any]
    scenarios: Sequence[Mapping[str, Any]]
    curve: Sequence[Mapping[str, Any]]
    watched: Sequence[Mapping[str, Any]]


def nothing(standing: Document) -> Page:
    """The page before the first run."""
    return Page(
        path=PATH,
        title="Risk",
        lead=NONE_YET,
        as_of=standing_at(standing),
        warnings=chain_warnings(standing),
        parts=[Html(f"<p>{link(ADVICE, 'Haircuts recommended from price history')}</p>")],
    )


def risk(run: Run, standing: Document, kind: str) -> Page:
    """Scenarios by venue, the curve of liquidations, and the watch list."""
    head = run.head
    return Page(
        path=PATH,
        title="Risk",
        lead="The whole book in the newest run: outcomes of scenarios, debt that price moves would liquidate, "
        "and the accounts most likely to be next.",
        as_of=with_doubts(json.loads(head["as_of"]), standing),
        warnings=chain_warnings(standing),
        asked=f"kind={kind}" if kind else "",
        parts=[
            figures(
                [
                    ("Run", head["run_id"]),
                    ("Made", f"{str(head['made_at'])[:16].replace('T', ' ')} UTC"),
                    ("Accounts", f"{head['accounts']:,}"),
                    ("Units judged", f"{head['units']:,}"),
                    ("Not judged", sum(each["code"] != NOT_LIQUIDATED for each in json.loads(head["left_out"]))),
                    ("Haircuts", link(ADVICE, "Advice")),
                    ("Liquidations", link("/ui/risk/liquidations", "Simulated")),
                ]
            ),
            _kinds(kind),
            _heat([each for each in run.scenarios if not kind or kind_of(each["scenario_id"]) == kind]),
            curve(run.curve),
            _points(run.curve),
            _watched(run.watched, head),
            _left_out(json.loads(head["left_out"])),
        ],
    )


def kind_of(scenario: str) -> str:
    """Return which part of the library a scenario is of."""
    if scenario == "together":
        return "together"
    if scenario.startswith("all"):
        return "grid"
    return "window" if scenario.rpartition(":")[2] in {"low", "close", "day"} else "failure"


def _place(scenario: str) -> tuple[int, float, str]:
    """What happened comes before what is made up, and of what falls alike the deepest first."""
    kind = kind_of(scenario)
    move = float(scenario.removeprefix("all").rstrip("%")) if kind == "grid" else 0.0
    return SHOWN.index(kind), move, scenario


def _kinds(kind: str) -> Html:
    items = "".join(
        f'<li><a href="{PATH}?kind={name}"{" aria-current=" + chr(34) + "true" + chr(34) if name == kind else ""}>{text(said)}</a></li>'
        for name, said in KINDS.items()
    )
    return Html(f'<nav aria-label="Scenarios"><ul class="filters">{items}</ul></nav>')


def _heat(scenarios: Sequence[Mapping[str, Any]]) -> Grid:
    """A scenario a line; of the house and of each venue who falls newly, and what is lacking, darker where it is more."""
    names = sorted({each["scenario_id"] for each in scenarios}, key=_place)
    venues = sorted({each["venue_id"] for each in scenarios if each["venue_id"]})
    cells = {(each["scenario_id"], each["venue_id"]): each for each in scenarios}
    said = {each["scenario_id"]: each["name"] for each in scenarios}
    places = [None, *venues]
    columns = ["scenario", "accounts below 1", *venues]
    return Grid(
        name="stress",
        title="Scenarios",
        columns=columns,
        rows=[(said[name], *(_cell(cells.get((name, venue))) for venue in places)) for name in names],
        plain=[
            (
                name,
                *(
                    ""
                    if (found := cells.get((name, venue))) is None
                    else f"{found['newly_falling']} {found['shortfall_usd']}"
                    for venue in places
                ),
            )
            for name in names
        ],
        numbers=frozenset(columns[1:]),
        note="Accounts newly below 1 · USD of their debt no longer covered by collateral; darker means a larger share of it. "
        "The CSV has both numbers of each cell. Nobody acts, and a frozen chain moves no price by itself.",
    )


def _cell(found: Mapping[str, Any] | None) -> Html | None:
    if found is None:
        return None
    lacking, owed = float(found["shortfall_usd"]), float(found["debt_usd"])
    share = lacking / owed if owed > 0 else float(lacking > 0)
    shade = sum(share > each for each in SHADES)
    shown = f"{found['newly_falling']:,}" + (f" · {usd_up(str(lacking))}" if lacking > 0 else "")
    return Html(f'<span class="heat heat-{shade}">{shown}</span>')


def curve(points: Sequence[Mapping[str, Any]]) -> Html:
    """Draw the debt that may be liquidated over the move of all prices that are not worth a dollar."""
    whole = sorted((float(each["move"]), float(each["debt_usd"])) for each in points if each["identity_id"] is None)
    if len(whole) < 2:  # noqa: PLR2004 - a line needs two ends
        return Html("")
    first, last, top = whole[0][0], whole[-1][0], max(debt for _, debt in whole) or 1.0

    def x(move: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * (move - first) / (last - first)

    def y(debt: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 10) * debt / top

    line = " ".join(f"{x(move):.1f},{y(debt):.1f}" for move, debt in whole)
    said = text(
        f"Debt that may be liquidated, from {first:+.0%} to {last:+.0%} of all prices, at most {math.ceil(top):,} USD; the table lists each"
    )
    marks = "".join(
        f'<circle class="dot" cx="{x(move):.1f}" cy="{y(debt):.1f}" r="3"><title>{move:+.0%}: {debt:,.2f} USD</title></circle>'
        for move, debt in whole
    )
    return Html(
        f'<svg class="course" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}"><title>{said}</title>'
        f'<line class="rule" x1="{LEFT}" y1="{y(0)}" x2="{WIDTH - 12}" y2="{y(0)}"></line>'
        f'<line class="boundary" x1="{x(0):.1f}" y1="10" x2="{x(0):.1f}" y2="{y(0)}"></line>'
        f'<polyline class="line" points="{line}"></polyline>{marks}'
        f'<text class="soft" x="{LEFT}" y="{HEIGHT - 4}">{first:+.0%}</text>'
        f'<text class="soft" x="{x(0):.1f}" y="{HEIGHT - 4}" text-anchor="middle">now</text>'
        f'<text class="soft" x="{WIDTH - 12}" y="{HEIGHT - 4}" text-anchor="end">{last:+.0%}</text>'
        f'<text class="soft" x="{LEFT - 6}" y="{y(top) + 4}" text-anchor="end">{_short(top)}</text></svg>'
    )


def _short(usd: float) -> str:
    return next(
        (
            f"{rounded(usd / size, 1, ROUND_CEILING)} {unit}"
            for size, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k"))
            if usd >= size
        ),
        f"{math.ceil(usd)}",
    )


def _points(points: Sequence[Mapping[str, Any]]) -> Grid:
    columns = ("what moves", "move", "units", "debt USD", "lacking USD")
    keys = ("identity_id", "move", "units", "debt_usd", "shortfall_usd")
    return Grid(
        name="at-risk",
        title="Liquidations by price",
        columns=columns,
        rows=[
            (
                each["identity_id"] or "all prices",
                percent(str(each["move"])),
                f"{each['units']:,}",
                usd_up(str(each["debt_usd"])),
                usd_up(str(each["shortfall_usd"])),
            )
            for each in points
        ],
        plain=[tuple(each[key] for key in keys) for each in points],
        numbers=frozenset(columns[1:]),
        note="“All prices” means everything that is not a dollar stablecoin. A single asset is listed where it makes a difference.",
    )


def _watched(watched: Sequence[Mapping[str, Any]], head: Mapping[str, Any]) -> Grid:
    columns = ("account", "status", "debt USD", *(f"within {each}" for each in HORIZONS), "why not")
    keys = ("account_id", "status", "debt_usd", *(f"breach_{each}" for each in HORIZONS), "reason")
    return Grid(
        name="watch-list",
        title="Watch list",
        columns=columns,
        rows=[
            (
                link(f"/ui/accounts/{each['account_id']}", each["account_id"]),
                status(each["status"]),
                None if each["debt_usd"] is None else usd_up(str(each["debt_usd"])),
                *(None if each[key] is None else percent(str(each[key])) for key in keys[3:6]),
                each["reason"],
            )
            for each in watched
        ],
        plain=[tuple(each[key] for key in keys) for each in watched],
        numbers=frozenset(columns[2:6]),
        note=f"Probability of becoming liquidatable within an hour (not calibrated), a day and a week; {head['paths']:,} paths.",
    )


def _left_out(left_out: Sequence[Mapping[str, str]]) -> Html:
    parts = {
        "not covered by any scenario": [each for each in left_out if each["code"] != NOT_LIQUIDATED],
        "reasons why no liquidation is simulated": [each for each in left_out if each["code"] == NOT_LIQUIDATED],
    }
    return Html(
        "".join(
            f"<details><summary>{len(found):,} {what}</summary>{listed(map(_why, found[:WATCHED]))}</details>"
            for what, found in parts.items()
            if found
        )
    )


def _why(left_out: Mapping[str, str]) -> str:
    return f"{left_out['code']}: {left_out['subject']} {left_out.get('detail', '')}"


def advice(found: Document, standing: Document) -> Page:
    """Which haircuts the policy in force would have by the prices that were, as a draft with its effect."""
    effect = found["preview"]
    parts: list[Html | Grid] = [_proposals(found["proposals"])]
    if found["without_history"]:
        parts.append(Html(f'<p class="soft">Price history too short: {text(", ".join(found["without_history"]))}.</p>'))
    if unmeasured := sorted({name for each in found["proposals"] for name in each["unmeasured"]}):
        names = text(", ".join(unmeasured))
        parts.append(Html(f'<p class="soft">Not measured, so their classes are not lowered: {names}.</p>'))
    if effect is None:
        parts.append(Html("<p>Nothing changes.</p>"))
    else:
        parts += [
            figures(
                [
                    ("Would take effect", found["effective_from"]),
                    ("Newly below 1", f"{len(effect['newly_below']):,} of {effect['accounts']:,}"),
                    ("Their debt, USD", effect["at_stake"]["debt_usd"]),
                ]
            ),
            Html(f'<details><summary>Draft policy</summary><pre tabindex="0">{text(found["draft"])}</pre></details>'),
            Html(ENTERING),
        ]
    return Page(
        path=ADVICE,
        title="Haircuts from price history",
        lead="Recommendation for each class of the policy in force: raised at once, lowered only after a long calm, "
        "within the class's bounds.",
        as_of=standing_at(standing),
        warnings=chain_warnings(standing),
        parts=parts,
    )


def _proposals(proposals: Sequence[Mapping[str, Any]]) -> Grid:
    columns = ("class", "margin", "by", "now", "target", "proposed", "move", "because of", "calm days")
    keys = ("class", "margin", "identity", "current", "target", "proposed", "move", "binding", "calm_days")
    return Grid(
        name="proposals",
        title="Proposals",
        columns=columns,
        rows=[
            (
                *(each[key] for key in keys[:3]),
                *(percent(each[key]) for key in keys[3:6]),
                *(each[key] for key in keys[6:]),
            )
            for each in proposals
        ],
        plain=[tuple(each[key] for key in keys) for each in proposals],
        numbers=frozenset((*columns[3:6], columns[8])),
        note="Alert: it would have to rise by more than one day allows; somebody has to decide." if proposals else "",
    )
