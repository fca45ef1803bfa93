"""A book that is cut into files says of scenarios and prices what the whole book says, to the bit, however it is cut."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from aggregator.at_risk import at_risk, at_risk_of
from aggregator.book import Book
from aggregator.engines.partitions import (
    as_arrow,
    in_processes,
    table_of_tallies,
    tallied,
    tallies_of_table,
    task_of,
)
from aggregator.risk.scenarios import Scenario
from aggregator.risk.tallies import added, exactly
from aggregator.stressing import stress, stressed_of
from crossmargin.stress_documents import library
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN
from tests.unit.aggregator.engines.conftest import SMALL, put_cut
from tests.unit.aggregator.test_stressing import ISOLATED, SECOND, borrowers, moved, with_pools


def test_files_come_to_what_the_whole_book_comes_to(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put_cut(odd, scenarios, tmp_path, monkeypatch)
    shuffled = random.Random(3).sample(parts, len(parts))

    found = added(tallied(tmp_path, part) for part in shuffled)

    task = task_of(tmp_path)
    assert len(parts) > 2 * SMALL
    whole = stress(odd, scenarios)
    assert whole.fragile_units > len(whole.fragile) > 0
    assert stressed_of(found, task.asked.scenarios, task.outline) == whole
    assert at_risk_of(found, task.library, task.outline) == at_risk(odd, library())
    assert found == in_processes(tmp_path, parts)


@pytest.mark.parametrize("policy", [SECOND, ISOLATED])
def test_files_name_everybody_whom_the_whole_book_does_not_measure(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled = with_pools({CHAIN: borrowers(20, 1), OTHER_CHAIN: borrowers(30, 2)[10:]}, policy)
    scenarios = [moved(pooled, move) for move in (-0.31, 0.02)]

    found = added(tallied(tmp_path, part) for part in put_cut(pooled, scenarios, tmp_path, monkeypatch))

    whole, task = stress(pooled, scenarios), task_of(tmp_path)
    assert 0 < len(whole.unmeasured) < len(pooled.accounts)
    assert stressed_of(found, task.asked.scenarios, task.outline) == whole


def test_rows_between_machines_say_what_tallies_say(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put_cut(odd, scenarios, tmp_path, monkeypatch)
    rows = [pa.ipc.open_stream(as_arrow(str(tmp_path), part)).read_all() for part in parts]

    whole = added(tallied(tmp_path, part) for part in parts)
    assert added(tallies_of_table(pa.concat_tables(rows))) == whole
    assert added(tallies_of_table(table_of_tallies(whole))) == whole


def test_a_process_that_ends_early_is_no_answer(
    odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put_cut(odd, scenarios, tmp_path, monkeypatch)
    (tmp_path / parts[0]).unlink()

    with pytest.raises(FileNotFoundError):
        in_processes(tmp_path, parts)


def test_sums_of_parts_are_exact_in_any_order() -> None:
    # 1e16 + 1 − 1e16 is 0 in doubles, one after the other, and 1 exactly.
    chance = random.Random(5)
    amounts = [1e16, 1.0, -1e16, *(chance.lognormvariate(0, 30) for _ in range(500))]
    cut = chance.sample(amounts, len(amounts))

    parts = [*exactly(cut[:77]), *exactly(cut[77:300]), *exactly(cut[300:])]

    assert exactly([1e16, 1.0, -1e16]) == (1.0,)
    assert exactly(parts) == exactly(amounts)
