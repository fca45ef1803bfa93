"""The report of a snapshot says what the tables say, to people, and nothing that comes from outside is anything but text in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aggregator.audit.lines import Row
from aggregator.audit.manifest import Link
from aggregator.audit.report.content import report
from aggregator.audit.report.cover import Tables
from aggregator.audit.report.page import Html, page, table, text
from aggregator.audit.snapshot import REPORT, cover_of, verify, write_snapshot
from aggregator.audit.verifier import EMPTY
from tests.support.lines import tables
from tests.unit.aggregator.test_snapshot import SLOT, book, signer

VOID = {"meta", "br"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x00"


class Elements(HTMLParser):
    """Reads a page strictly: every element is closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(body: str) -> Elements:
    elements = Elements()
    elements.feed(body)
    elements.close()
    assert elements.open == []
    return elements


@pytest.fixture
def shown(tmp_path: Path) -> str:
    folder, _ = write_snapshot(
        tmp_path,
        book(silent=True),
        slot_time=SLOT,
        link=Link(sequence=2, previous=f"sha256:{'be' * 32}"),
        signer=signer(),
    )
    assert verify(folder).faults == []
    return (folder / REPORT).read_text(encoding="utf-8")


def test_it_says_what_the_snapshot_is_of(shown: str) -> None:
    said = "\n".join(read(shown).texts)

    headings = re.findall(r"<h2>(.*?)</h2>", shown)
    assert headings == [
        "Scope",
        "Blocks",
        "Coverage",
        "Totals and residuals",
        "Exceptions",
        "Distribution of health",
        "Worst accounts",
        "Marks",
        "Evidence",
        "Messages between chains",
        "Signature and chain",
        "How to verify",
    ]
    for each in (
        "20231114T221500Z",
        "acme",
        "toy-10",
        "liabilities unknown",
        f"sha256:{'be' * 32}",
        signer().key,
        "100 s",
    ):
        assert each in said
    assert "audited" not in shown.lower()


def test_it_needs_nothing_but_itself(shown: str) -> None:
    elements = read(shown)

    assert {tag for tag, _ in elements.seen} & {"script", "link", "iframe", "img", "object", "form", "a"} == set()
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", shown)
    assert "default-src 'none'" in shown.replace("&#x27;", "'")
    assert "prefers-color-scheme: dark" in shown
    assert "@media print" in shown
    assert shown.count("<svg") == 3


def poisoned(row: Row) -> Row:
    return {column: EVIL if column in {"venue_id", "protocol", "total"} else value for column, value in row.items()}


def test_what_comes_from_outside_is_text() -> None:
    what = book()
    rows = {name: [poisoned(row) for row in each] for name, each in tables(what).items()}
    cover = cover_of(what, EVIL, slot_time=SLOT, root=EMPTY, link=Link(previous=EVIL), signer=signer())

    elements = read(report(replace(cover, levels={EVIL: None}), rows))

    assert {tag for tag, _ in elements.seen} & {"script", "img"} == set()
    assert any("<script>alert(1)</script>" in each for each in elements.texts)
    assert "\u202e" not in "".join(elements.texts)


def test_only_what_was_made_here_is_markup() -> None:
    assert "<b>x</b>" not in table(("a",), [("<b>x</b>",)])
    assert "<b>x</b>" in table(("a",), [(Html("<b>x</b>"),)])
    assert text('"\u200f&') == "&quot;\ufffd&amp;"
    assert "<title>&lt;</title>" in page("<", [])


def test_rows_that_are_not_shown_are_counted() -> None:
    what = book()
    rows = tables(what)
    mark = rows["marks"][0]
    many: Tables = {**rows, "marks": [{**mark, "identity": f"coin {number}"} for number in range(100)]}
    cover = cover_of(what, "x", slot_time=SLOT, root=EMPTY, link=Link(), signer=signer())

    assert "and 40 more in marks.ndjson" in report(cover, many)
    assert "more in marks.ndjson" not in report(cover, rows)
