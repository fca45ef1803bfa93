"""One account with everything that decides it, and how it fared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from aggregator.audit.report.page import Html, code, figures, text
from aggregator.margin.numbers import total
from crossmargin.documents import Document, symbol
from crossmargin.server.web.charts import Point
from crossmargin.server.web.charts import course as chart
from crossmargin.server.web.explorer import account_path
from crossmargin.server.web.figures import amount, factor, gauge, own_down, own_up, percent, price_of, usd_down, usd_up
from crossmargin.server.web.frame import Grid, Page, link, listed, shortened, titled, with_doubts
from crossmargin.server.web.frame import status as status_of

UNIT_COLUMNS = ("venue", "protocol", "chain", "unit", "status", "health factor", "collateral", "debt")
POSITION_COLUMNS = ("venue", "side", "token", "amount", "value USD", "counts", "price USD", "of")
BREAKDOWN_COLUMNS = ("venue", "token", "had USD", "owed USD")
COURSE_FACTORS = ("health_factor_low", "health_factor", "health_factor_high", "min_unit_health_factor")
COURSE_COLUMNS = ("time", "snapshot", "status", "low", "middle", "high", "weakest unit", "collateral USD", "debt USD")
LADDER_COLUMNS = ("price of", "now", "liquidation at", "move")


def account(health: Document, course: Document, status: Document) -> Page:
    """One account: its number with its interval, what it has and owes, what would liquidate it, and its numbers in snapshots."""
    interval = health["health_factor_interval"] or {}
    numbers = [
        ("Status", status_of(health["status"])),
        ("House health factor", factor(health["health_factor"])),
        ("Weakest venue unit", factor(health["min_unit_health_factor"])),
        ("Interval", _interval(interval)),
        ("Score", "–" if health["score"] is None else health["score"]),
        ("Collateral, USD", usd_down(health["collateral"]["raw"])),
        ("Debt, USD", usd_up(health["debt"]["raw"])),
        ("Headroom, USD", usd_down(health["headroom"])),
        ("Loan to value", percent(health["ltv"]) or "–"),
        ("24 h breach", percent(health["breach_probability_24h"]) or "not estimated"),
    ]
    return Page(
        path=account_path(health["account"]),
        title=f"Account {health['account']}",
        lead="The house health factor covers the owner's accounts on all chains; "
        "at each venue, only the venue's own health factor decides about liquidation.",
        as_of=with_doubts(health["as_of"], status),
        warnings=[f"{reason['code']}: {reason['detail']}" for reason in health["reasons"]],
        parts=[
            Html(
                f'<section aria-label="Health">{gauge(interval.get("low"), interval.get("mid"), interval.get("high"))}</section>'
            ),
            figures(numbers),
            _beside(health),
            _units(health),
            _drawn(course),
            _breakdown(health),
            _positions(health),
            _ladder(health),
            _course(course),
            Html(f"<section><h2>Members</h2>{_members(health)}</section>"),
            _origin(health),
        ],
    )


def _beside(health: Document) -> Html:
    """Lead to what the account may do, and to what would become of it."""
    here = account_path(health["account"])
    return Html(f"<p>{link(f'{here}/what-if', 'What if')} · {link(f'{here}/advice', 'Advice')}</p>")


def _interval(found: Document) -> Html | str:
    """The health factor from its low to its high; what nothing bounds has none."""
    if not found:
        return "–"
    high = "no bound" if found["high"] is None else factor(found["high"])
    return Html(f"{factor(found['low'])} – {high}")


def _origin(health: Document) -> Html:
    policy, digest = code(health["policy"]["version"] or "unnamed"), code(health["input_digest"])
    return Html(
        f'<p class="soft">Computed under policy {policy} from inputs {digest}, methodology {text(health["methodology_version"])}.</p>'
    )


def _units(health: Document) -> Grid:
    found = [(venue, unit) for venue in health["venues"] for unit in venue["units"]]
    return Grid(
        name="units",
        title="Venues",
        columns=UNIT_COLUMNS,
        rows=[
            (
                *(venue[key] for key in ("venue", "protocol")),
                shortened(venue["chain"]),
                shortened(unit["unit_id"]),
                status_of(unit["status"]),
                factor(unit["health_factor"]),
                own_down(unit["collateral"]),
                own_up(unit["debt"]),
            )
            for venue, unit in found
        ],
        plain=[
            (
                *(venue[key] for key in ("venue", "protocol", "chain")),
                *(unit[key] for key in ("unit_id", "status", "health_factor", "collateral", "debt")),
            )
            for venue, unit in found
        ],
        numbers=frozenset({"health factor", "collateral", "debt"}),
        note="Collateral and debt in the venue's own currency, by its own prices.",
    )


def _breakdown(health: Document) -> Grid:
    """What is had and owed of each token, at the middle of its mark; a position without a price makes its sum unknown."""
    found: dict[tuple[str, str], list[Document]] = {}
    for venue in health["venues"]:
        for unit in venue["units"]:
            for position in unit["positions"]:
                found.setdefault((venue["venue"], position["asset"]), []).append(position)
    sums = [
        (venue, positions[0], _sum_of(positions, "supply"), _sum_of(positions, "borrow"))
        for (venue, _), positions in sorted(found.items())
    ]
    return Grid(
        name="breakdown",
        title="By venue and token",
        columns=BREAKDOWN_COLUMNS,
        rows=[
            (venue, titled(symbol(one["symbol"]), one["asset"]), _usd(had, usd_down), _usd(owed, usd_up))
            for venue, one, had, owed in sums
        ],
        plain=[(venue, one["asset"], _plain(had), _plain(owed)) for venue, one, had, owed in sums],
        numbers=frozenset(BREAKDOWN_COLUMNS[2:]),
        note="Valued at the mid of the house's marks, including assets that do not count as collateral.",
    )


def _sum_of(positions: Sequence[Document], side: str) -> tuple[int, Decimal | None]:
    values = [position["value_usd"] for position in positions if position["side"] == side]
    return len(values), None if None in values else total(values)


def _usd(found: tuple[int, Decimal | None], shown: Callable[[str | None], Html]) -> Html | None:
    count, value = found
    return None if not count else shown(None if value is None else f"{value:f}")


def _plain(found: tuple[int, Decimal | None]) -> str | None:
    count, value = found
    return "unknown" if count and value is None else f"{value:f}" if count else None


def _positions(health: Document) -> Grid:
    found = [
        (venue["venue"], position)
        for venue in health["venues"]
        for unit in venue["units"]
        for position in unit["positions"]
    ]
    return Grid(
        name="positions",
        title="Collateral and debt",
        columns=POSITION_COLUMNS,
        rows=[
            (
                venue,
                position["side"],
                titled(symbol(position["symbol"]), position["asset"]),
                amount(position["amount"], up=position["side"] != "supply"),
                (usd_down if position["side"] == "supply" else usd_up)(position["value_usd"]),
                "yes" if position["counted"] else "no",
                position["mark_usd"] and price_of(position["mark_usd"]),
                position["asset_class"],
            )
            for venue, position in found
        ],
        plain=[
            (
                venue,
                *(
                    position[key]
                    for key in ("side", "symbol", "amount", "value_usd", "counted", "mark_usd", "asset_class")
                ),
            )
            for venue, position in found
        ],
        numbers=frozenset({"amount", "value USD", "price USD"}),
    )


def _ladder(health: Document) -> Grid:
    keys = ("identity", "price_usd", "liquidation_price_usd", "distance_pct")
    found = [[each[key] for key in keys] for each in health["liquidation_prices"]]
    return Grid(
        name="ladder",
        title="Liquidation prices",
        columns=LADDER_COLUMNS,
        rows=[
            (identity, _price(now), _price(then), None if moves is None else f"{Decimal(moves):+.2f} %")
            for identity, now, then, moves in found
        ],
        plain=found,
        numbers=frozenset(LADDER_COLUMNS[1:]),
        note="For the whole account, moving one price at a time with all others unchanged.",
    )


def _price(value: str | None) -> str | None:
    return None if value is None else price_of(value)


def _members(health: Document) -> Html:
    kinds = health["membership"]
    return listed(
        Html(f"{code(member)} {kinds[member]['kind'] if member in kinds else ''}") for member in health["members"]
    )


def _drawn(course: Document) -> Html:
    """The health factor in the snapshots as a drawing."""
    points = [_point(each) for each in course["points"]]
    drawn = chart(points, "House health factor") if points else "<p>No snapshot stored here contains this account.</p>"
    return Html(f'<section aria-labelledby="course"><h2 id="course">History</h2>{drawn}</section>')


def _course(course: Document) -> Grid:
    """The same as a table, with what could not be read."""
    notes = [f"{each['snapshot']}: {each['detail']}" for each in course["unread"]]
    if course["earlier"]:
        notes.append(f"{course['earlier']:,} older snapshots are not shown.")
    return _course_grid(course["points"], " ".join(notes))


def _point(row: Document) -> Point:
    low, mid, high = (_decimal(row[name]) for name in ("health_factor_low", "health_factor", "health_factor_high"))
    time = int(datetime.fromisoformat(row["slot_time"]).timestamp())
    return Point(time=time, said=row["slot_time"], low=low, mid=mid, high=high, why=row["status"].replace("_", " "))


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _course_grid(points: Sequence[Document], note: str) -> Grid:
    newest = list(reversed(points))
    return Grid(
        name="history",
        title="In snapshots",
        columns=COURSE_COLUMNS,
        rows=[
            (
                each["slot_time"],
                link(f"/ui/snapshots/{each['snapshot']}", each["snapshot"]),
                status_of(each["status"]),
                *(factor(each[name]) for name in COURSE_FACTORS),
                usd_down(each["collateral_usd"]),
                usd_up(each["debt_usd"]),
            )
            for each in newest
        ],
        plain=[
            tuple(
                each[name]
                for name in ("slot_time", "snapshot", "status", *COURSE_FACTORS, "collateral_usd", "debt_usd")
            )
            for each in newest
        ],
        numbers=frozenset(COURSE_COLUMNS[3:]),
        note=f"Each as it was signed. {note}".strip(),
    )
