"""A book that is judged by parts in processes is the book that one process judges, whatever the parts are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.arrayed import tables_of
from aggregator.book import Book, judged, parted
from aggregator.engines import laying
from aggregator.engines.laying import Laid, Part, laid, part_of
from aggregator.engines.partitions import Asked, put_risk
from aggregator.margin.inputs import MarginAccount
from aggregator.risk.scenarios import Scenario
from chains.registry import PROTOCOLS
from crossmargin.stress_documents import library, library_text

SLOT = 1_700_000_000
MARKET = library().mapping.market


@pytest.fixture
def joined(odd: Book) -> Book:
    """A book with two registered accounts: one of several owners on both chains, and one of an owner who has nothing."""
    owners = [each.account.id for each in odd.accounts]
    together = MarginAccount(id="together", members=(owners[0], owners[1], owners[-1]))
    nothing = MarginAccount(id="nothing", members=("eip155:1:0x" + "9" * 40,))
    catalogue = replace(odd.inputs.catalogue, accounts=(together, nothing))
    return judged(replace(odd.inputs, catalogue=catalogue))


@pytest.mark.parametrize("accounts", [1, 7, 20, 10_000])
def test_parts_have_every_account_of_the_book_once(joined: Book, accounts: int) -> None:
    books = [judged(part) for part in parted(joined.inputs, accounts)]

    found = [each for book in books for each in book.accounts]
    assert len(books) == -(-len(joined.accounts) // accounts)
    assert sorted(found, key=lambda each: each.account.id) == list(joined.accounts)
    assert sum(len(book.units) for book in books) == len(joined.units)
    assert {book.context == joined.context for book in books} == {True}


def test_a_book_laid_out_in_processes_is_the_book_laid_out_at_once(
    joined: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laying, "_judged", judged_of_toys)
    whole = Laid(inputs=joined.inputs, context=joined.context, part=part_of(joined))

    found = laid(joined.inputs, accounts=9)

    tables = [each.tables(snapshot_id="one", slot_time=SLOT) for each in (found, whole)]
    assert tables == [tables_of(joined, snapshot_id="one", slot_time=SLOT)] * 2
    assert found.held(MARKET) == whole.held(MARKET)
    asked = Asked(library=library_text(), scenarios=tuple(scenarios), curves=True, said={"as_of": {}})
    put_risk(found, asked, tmp_path / "parts")
    put_risk(whole, asked, tmp_path / "whole")
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.parquet")]
    assert len(files) >= 3
    for file in files:
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_little_is_judged_without_processes(joined: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laying, "each_in_processes", None)

    assert laid(joined.inputs).part == part_of(joined)


def judged_of_toys(path: Path) -> Part:
    """What a process does that knows the toy protocol too."""
    PROTOCOLS["toy"] = "tests.unit.aggregator.builders"
    return laying._judged(path)
