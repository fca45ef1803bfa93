"""A snapshot beside a verifier's own node: what is there is equal, and a snapshot that is consistent and wrong is found."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.audit.inputs import read
from aggregator.audit.manifest import Link
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import write_snapshot
from aggregator.book import BookInputs, judged
from tests.devnet.evm.chain import Devnet, build
from tests.e2e.test_both_families import market_tables
from tests.support.product import chain_tables, crossmargin
from tests.unit.aggregator.audit.test_verifier import OPERATOR, history

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with build(seed=6, actions=60, users=8, slots_in_an_epoch=4) as running:
        yield running


@pytest.fixture(scope="module")
def made(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    configuration = chain_tables(net).replace('"finalized"', '"latest"') + market_tables(net)
    (folder / "crossmargin.toml").write_text(configuration)
    assert crossmargin(folder, "index").returncode == 0
    created = crossmargin(folder, "snapshot", "create", "--json")
    assert created.returncode == 0, created.stderr
    return Path(json.loads(created.stdout)["path"])


def against(url: str, folder: Path, *more: str) -> Done:
    return crossmargin(folder.parent, "snapshot", "verify", str(folder), "--against-node", url, "--json", *more)


def message(done: Done) -> str:
    return str(json.loads(done.stderr)["error"]["message"])


def test_a_node_answers_what_the_snapshot_has(net: Devnet, made: Path) -> None:
    done, again = (against(net.url, made, "--seed", "7", "--sample", "5") for _ in range(2))

    assert done.returncode == 0, done.stderr
    notes = json.loads(done.stdout)["notes"]
    assert notes == json.loads(again.stdout)["notes"]
    number, feeds = read(made).inputs.cuts[f"eip155:{net.chain_id}"].block.number, len(net.market.reserves)
    (units,) = (note for note in notes if note.startswith(f"aave-{net.chain_id}: 5 of 9 units at block {number}: "))
    equal = int(units.split()[-2])
    assert units.endswith(f": {equal} equal")
    assert equal > 20
    assert f"eip155:{net.chain_id}: {feeds} of {feeds} feeds answered at block {number}" in notes
    (told,) = (note for note in notes if "price sources" in note)
    found = re.fullmatch(
        r".*: answers of 5 price sources in the receipts of their blocks: (\d) equal, (\d) unanswered", told
    )
    assert found, notes
    carried, read_then = map(int, found.groups())
    assert (carried > 0, carried + read_then) == (True, 5)
    assert sum("carries no answer of" in note for note in notes) == read_then, "aggregators that came later were read"
    assert notes[-1] == f"compared with nodes: {equal + feeds + carried} numbers, of the sample of seed 7"


def other_amount(inputs: BookInputs) -> BookInputs:
    (venue,) = inputs.venues
    units = [replace(unit, positions={key: raw + 1 for key, raw in unit.positions.items()}) for unit in venue.units]
    return replace(inputs, venues=(replace(venue, units=tuple(units)),))


def _read(inputs: BookInputs, **changes: int) -> BookInputs:
    first, *rest = inputs.observations
    assert first.reading is not None
    now = {name: getattr(first.reading, name) + number for name, number in changes.items()}
    return replace(inputs, observations=(replace(first, reading=first.reading._replace(**now)), *rest))


def other_price(inputs: BookInputs) -> BookInputs:
    return _read(inputs, answer_raw=1)


def fresher_price(inputs: BookInputs) -> BookInputs:
    return _read(inputs, updated_at=60)


def other_source(inputs: BookInputs) -> BookInputs:
    """A source that answered a little more than it did: health may well be the same."""
    (venue,) = inputs.venues
    answers = {
        source: answer._replace(answer_raw=answer.answer_raw + 1) for source, answer in venue.snapshot.answers.items()
    }
    return replace(inputs, venues=(replace(venue, snapshot=replace(venue.snapshot, answers=answers)),))


def other_block(inputs: BookInputs) -> BookInputs:
    ((chain_id, cut),) = inputs.cuts.items()
    block = replace(cut.block, hash=b"\x01" * 32)
    (venue,) = inputs.venues
    snapshot = replace(venue.snapshot, at=block)
    return replace(inputs, cuts={chain_id: replace(cut, block=block)}, venues=(replace(venue, snapshot=snapshot),))


@pytest.mark.parametrize(
    "change, told",
    [
        (other_amount, "scaledBalanceOf"),
        (other_price, "the snapshot has"),
        (fresher_price, "the snapshot says at"),
        (other_source, "the receipts of block"),
        (other_block, f"is 0x{'01' * 32} of"),
    ],
)
def test_what_follows_from_its_inputs_and_is_wrong_is_found(
    change: Callable[[BookInputs], BookInputs], told: str, net: Devnet, made: Path, tmp_path: Path
) -> None:
    book = judged(change(read(made).inputs))
    signer = Signer(OPERATOR, history())
    folder, _ = write_snapshot(tmp_path, book, slot_time=1_700_000_000, link=Link(), signer=signer)

    consistent = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--recompute")
    found = against(net.url, folder)

    assert (consistent.returncode, found.returncode) == (0, 4), consistent.stderr
    assert told in message(found)


def test_nodes_that_say_nothing_of_it_leave_nothing_compared(net: Devnet, made: Path) -> None:
    silent = against("http://127.0.0.1:9/", made)
    chained = against(net.url, made, "--chain")

    assert (silent.returncode, chained.returncode) == (3, 2)
    assert "node 1: it does not say which chain it serves: cannot be reached" in message(silent)
    assert f"no node was given for eip155:{net.chain_id}: nothing of it was compared" in message(silent)
