"""A book that is cut into files says of scenarios and prices what the whole book says, to the bit, however it is cut."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.at_risk import at_risk, at_risk_of
from aggregator.book import Book
from aggregator.engines import partitions
from aggregator.engines.extras import EngineFailed
from aggregator.engines.partitions import (
    Asked,
    mapped,
    parts_of,
    put_risk,
    table_of_tallies,
    tallied,
    tallies_of_table,
    task_of,
)
from aggregator.engines.pooled import in_processes
from aggregator.risk.scenarios import Library, Scenario, failures, grid, shocked
from aggregator.risk.tallies import added, exactly
from aggregator.stressing import held_of, stress, stressed_of
from crossmargin.stress_documents import library, library_text
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_stressing import book, borrowers, owner

SMALL = 7
"""Rows of a file, so that a small book has many."""


@pytest.fixture(scope="module")
def odd() -> Book:
    """Owners on one chain and on both, one with nothing but debt, one without, and one of whom next to nothing is lacking."""
    tiny = [
        Holding(supplied={WETH: 1e-9}, owed={USDC: 500.0}, owner=owner(900)),
        Holding(supplied={USDC: 1e9}, owed={}, owner=owner(901)),
        Holding(supplied={WETH: 1.0}, owed={USDC: 1_600.0}, owner=owner(902)),
    ]
    return book({CHAIN: [*borrowers(40, 1), *tiny], OTHER_CHAIN: borrowers(30, 2)})


@pytest.fixture(scope="module")
def scenarios(odd: Book) -> list[Scenario]:
    held = held_of(odd, library().mapping.market)
    return [*grid(library(), held), *failures(library(), held), shocked("mixed", {"ETH": -0.31, "USDC": 0.02}, held)]


def put(odd: Book, scenarios: list[Scenario], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(partitions, "ROWS_A_FILE", SMALL)
    put_risk(odd, Asked(library=library_text(), scenarios=tuple(scenarios), curves=True, said={"as_of": {}}), folder)
    return parts_of(folder)


def test_files_come_to_what_the_whole_book_comes_to(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put(odd, scenarios, tmp_path, monkeypatch)
    shuffled = random.Random(3).sample(parts, len(parts))

    found = added(tallied(tmp_path, part) for part in shuffled)

    task = task_of(tmp_path)
    assert len(parts) > 2 * SMALL
    whole = stress(odd, scenarios)
    assert whole.fragile_units > len(whole.fragile) > 0
    assert stressed_of(found, task.asked.scenarios, task.outline) == whole
    assert at_risk_of(found, task.library, task.outline) == at_risk(odd, library())
    assert found == in_processes(tmp_path, parts)


def test_rows_between_machines_say_what_tallies_say(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put(odd, scenarios, tmp_path, monkeypatch)
    numbers = partitions.pa.record_batch({"id": list(range(len(parts)))})

    rows = partitions.pa.Table.from_batches(list(mapped(str(tmp_path), parts, iter([numbers]))))

    whole = added(tallied(tmp_path, part) for part in parts)
    assert added(tallies_of_table(rows)) == whole
    assert added(tallies_of_table(table_of_tallies(whole))) == whole


def test_a_process_that_ends_early_is_no_answer(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put(odd, scenarios, tmp_path, monkeypatch)
    (tmp_path / parts[0]).unlink()

    with pytest.raises((EngineFailed, FileNotFoundError)):
        in_processes(tmp_path, parts)


def test_sums_of_parts_are_exact_in_any_order() -> None:
    # 1e16 + 1 − 1e16 is 0 in doubles, one after the other, and 1 exactly.
    chance = random.Random(5)
    amounts = [1e16, 1.0, -1e16, *(chance.lognormvariate(0, 30) for _ in range(500))]
    cut = chance.sample(amounts, len(amounts))

    parts = [*exactly(cut[:77]), *exactly(cut[77:300]), *exactly(cut[300:])]

    assert exactly([1e16, 1.0, -1e16]) == (1.0,)
    assert exactly(parts) == exactly(amounts)
