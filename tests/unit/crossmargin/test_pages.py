"""What strangers name themselves stays text on every page, and unknown is never drawn as something."""

from __future__ import annotations

import re
from decimal import Decimal

from crossmargin.server.web.alerts import alerts
from crossmargin.server.web.calendar import calendar
from crossmargin.server.web.charts import Point, course
from crossmargin.server.web.figures import factor, gauge, own_down, price_of, usd_down, usd_up
from crossmargin.server.web.frame import Grid, Page, as_csv, written
from crossmargin.server.web.risk import curve

EVIL = '<script>alert("x")</script>\u202e=1+1'


def page(**more: object) -> str:
    grid = Grid(name="t", title=EVIL, columns=("a",), rows=[(EVIL,)])
    return written(Page(path="/", title=EVIL, lead=EVIL, parts=[grid], warnings=[EVIL], **more)).decode()  # type: ignore[arg-type]


def test_markup_of_strangers_is_text() -> None:
    body = page(as_of={EVIL: {"block": 1, "time": EVIL, "finality": EVIL}})

    assert "<script>alert" not in body
    assert "\u202e" not in body
    assert body.count("<script") == 1  # the page's own


def test_formulas_of_strangers_are_quoted_in_csv() -> None:
    grid = Grid(name="t", title="t", columns=("a", "b"), rows=[("=1+1", "-12.5"), (None, "@x")])

    as_of = {"eip155:1": {"block": 7, "time": "2026-01-01T00:00:00Z", "finality": "latest", "doubt": "chain_stale"}}
    said = "eip155:1=7@2026-01-01T00:00:00Z(chain_stale)"

    assert as_csv(grid, {}).decode() == "a,b,as of\r\n'=1+1,-12.5,\r\n,'@x,\r\n"
    assert as_csv(grid, as_of).decode() == f"a,b,as of\r\n'=1+1,-12.5,{said}\r\n,'@x,{said}\r\n"


def test_what_is_had_is_rounded_down_and_what_is_owed_up() -> None:
    assert ">1.23 k<" in usd_down("1239.999")
    assert ">1.24 k<" in usd_up("1230.001")
    assert 'title="1239.999 USD"' in usd_down("1239.999")
    assert ">0.9999<" in factor("0.999999")


def test_a_curve_names_no_less_debt_than_there_is() -> None:
    said = curve(
        [{"identity_id": None, "move": -0.5, "debt_usd": 1_249_000.4}, {"identity_id": None, "move": 0, "debt_usd": 0}]
    )

    assert "at most 1,249,001 USD" in said
    assert ">1.3 M<" in said


def test_unknown_is_drawn_as_nothing() -> None:
    assert "unknown" in usd_down(None)
    assert ">–<" in own_down(None)
    assert ">–<" in factor(None)
    assert "No health factor to show" in gauge("0.5", None, None)
    assert "between 0.5 and unknown" in gauge("0.5", "1.0", None)


def test_no_small_price_looks_like_zero() -> None:
    assert ">0.00000042<" in price_of("0.00000042")
    assert ">1,915.680477<" in price_of("1915.6804771")


def test_a_page_says_of_each_chain_whether_it_is_believed() -> None:
    cut = {"block": 7, "time": "2026-01-01T00:00:00Z", "finality": "latest"}
    body = page(as_of={"eip155:1": {**cut, "doubt": None}, "eip155:10": {**cut, "doubt": "chain_stale"}})

    assert "latest</li>" in body
    assert 'latest · <span class="bad">chain_stale</span></li>' in body
    assert "no block yet: nothing is stored" in page()


def test_a_course_breaks_where_there_is_no_number_and_an_open_end_goes_to_the_top() -> None:
    def point(time: int, low: str | None, mid: str | None, high: str | None) -> Point:
        values = [None if value is None else Decimal(value) for value in (low, mid, high)]
        return Point(time=time, said=f"t{time}", low=values[0], mid=values[1], high=values[2], why="unknown")

    drawn = course(
        [
            point(0, "1.1", "1.2", "1.3"),
            point(10, None, None, None),
            point(20, "0.5", "0.9", None),
            point(30, "3", "4", "9"),
        ],
        "House health factor",
    )

    assert drawn.count('class="line"') == 2
    assert drawn.count('class="interval"') == 2
    assert 'class="none"' in drawn
    assert "t10: unknown" in drawn
    assert drawn.count('class="under"') == 1
    # The scale ends at 5: 9 and what nothing bounds stand at its top, 10 down; 0.9 at 10 + (5 − 0.9) / 5 · 186 = 162.52.
    assert re.findall(r'class="interval" points="([^"]+)"', drawn)[1] == "456,10 668,10 668,84 456,177"
    assert 'class="under" cx="456" cy="162"' in drawn


def test_a_calendar_shows_each_day_by_its_worst_slot_and_counts_all() -> None:
    states = [("2026-01-31T00:00:00Z", "done"), ("2026-01-31T01:00:00Z", "missed"), ("2026-02-01T00:00:00Z", "late")]
    drawn = calendar([{"slot_time": time, "state": state} for time, state in states])

    assert drawn.index("2026-02</caption>") < drawn.index("2026-01</caption>")
    assert '<td class="day bad"><time datetime="2026-01-31">31</time><span class="bad">1&nbsp;missed</span>' in drawn
    assert '<span class="good">1&nbsp;done</span></td>' in drawn
    assert '<td class="day warn"><time datetime="2026-02-01">1</time>' in drawn
    assert drawn.count('datetime="2026-01-31"') == 1


def test_everything_that_is_wrong_is_on_the_page_of_alerts() -> None:
    status = {
        "chains": [{"chain": "eip155:1", "name": "main", "reason": None, "indexed": None, "finalized_block": None}]
    }
    slot = {
        "snapshot": "20260101T000000Z",
        "slot_time": "t",
        "state": "missed",
        "late_seconds": 0,
        "detail": EVIL,
        "manifest_hash": None,
    }
    found = {
        "open": [{"kind": "short", "chain": "eip155:1", "subject": "aave", "block": 5, "detail": EVIL}],
        "differences": [
            {
                "checked_at": "t",
                "chain": "c",
                "venue": "v",
                "block": 1,
                "unit": "0x1",
                "view": "debt()",
                "contract": "0x2",
            }
            | {"market": None, "ours": EVIL, "theirs": None}
        ],
        "quarantine": [
            {"chain": "c", "venue": "v", "block": 1, "reason": "too wide", "word": "0xff", "doubtful": True}
        ],
        "quarantined": 300,
        "reorgs": [{"seen_at": "t", "chain": "eip155:1", "depth": 3, "to": 99}],
        "restatements": [
            {"restated_at": "t", "chain": "c", "interest": "venue:v", "first": 1, "last": 9, "blocks": 9}
            | {"cause": "reorg", "changed": True}
        ],
        "changes": [
            {
                "chain": "c",
                "venue": "v",
                "block": 1,
                "market": None,
                "kind": "oracle",
                "aspect": "source",
                "before": None,
                "after": EVIL,
            }
        ],
        "snapshots": [slot],
    }
    shown = alerts(found, status)
    body = written(shown).decode()

    assert "<script>alert" not in body
    assert [len(grid.rows) for grid in shown.grids.values()] == [1] * 7
    assert "The newest 1 of 300." in body
    assert "refuses to answer" in body
    assert "nobody follows" in written(alerts(found | {"reorgs": None}, status)).decode()
