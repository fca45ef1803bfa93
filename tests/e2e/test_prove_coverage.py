"""`crossmargin prove-coverage` looks at a store again and says, by its exit code too, whether anything is missing."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from indexer.store import Store
from tests.devnet.evm.chain import Devnet, build
from tests.support.omitting import Place, omitting
from tests.support.product import chain_tables, crossmargin

CHAIN = "eip155:31337"
VENUE = "aave-31337"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A devnet, a folder with a store that lacks the log at `place`, and one that lacks nothing."""

    net: Devnet
    lacking: Path
    whole: Path
    place: Place
    final: int


def configuration(net: Devnet, url: str) -> str:
    return chain_tables(net).replace(f'rpc = ["{net.url}"]', f'rpc = ["{url}"]\ncompleteness = "none"')


def last_log(folder: Path) -> tuple[Place, int]:
    """The last log that a store holds of its final blocks, and the last of these."""
    with Store.open(folder / "data" / "crossmargin.duckdb", read_only=True) as store:
        cursor = store.cursor(CHAIN)
        assert cursor is not None
        rows = store.records(CHAIN).table("evm_log", 0, cursor.finalized)
        return Place(rows["block_number"][-1].as_py(), rows["log_index"][-1].as_py()), cursor.finalized


def indexed(folder: Path, text: str) -> None:
    (folder / "crossmargin.toml").write_text(text)
    done = crossmargin(folder, "index")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    whole, lacking = (tmp_path_factory.mktemp(name) for name in ("whole", "lacking"))
    with build(seed=4, actions=20, users=6, slots_in_an_epoch=4) as net:
        indexed(whole, configuration(net, net.url))
        place, final = last_log(whole)

        async def index_without() -> None:
            async with omitting(net.url, [place]) as node:
                await asyncio.to_thread(indexed, lacking, configuration(net, node.url))

        asyncio.run(index_without())
        (lacking / "crossmargin.toml").write_text(configuration(net, net.url))
        yield Made(net=net, lacking=lacking, whole=whole, place=place, final=final)


@pytest.fixture
def lacking(made: Made, tmp_path: Path) -> Path:
    """A copy of its own for each test."""
    shutil.copytree(made.lacking, tmp_path / "lacking")
    return tmp_path / "lacking"


@pytest.fixture
def whole(made: Made, tmp_path: Path) -> Path:
    shutil.copytree(made.whole, tmp_path / "whole")
    return tmp_path / "whole"


def asked(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = crossmargin(folder, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def standing(folder: Path) -> dict[str, dict[str, Any]]:
    """What `status` says of the completeness of each interest."""
    _, document = asked(folder, "status")
    return {interest["interest"]: interest for interest in document["chains"][0]["coverage"]}


def test_a_store_that_lacks_nothing_is_proven(made: Made, whole: Path) -> None:
    assert {interest["weakest"] for interest in standing(whole).values()} == {"fetched"}

    code, document = asked(whole, "prove-coverage")

    assert code == 0
    (chain,) = document["chains"]
    assert (chain["from"], chain["to"], chain["level"]) == (0, made.final, "proven")
    assert (chain["unproven_blocks"], chain["findings"], chain["mend"]) == (0, [], None)
    after = standing(whole)
    assert {name: (i["last"], i["weakest"], i["unproven_blocks"]) for name, i in after.items()} == {
        "feeds": (made.final, "proven", 0),
        f"venue:{VENUE}": (made.final, "proven", 0),
    }


@pytest.mark.parametrize("level", ["receipts", "bloom"])
def test_a_log_that_the_store_lacks_is_told_and_kept_and_the_venue_is_not_believed(
    made: Made, lacking: Path, level: str
) -> None:
    code, document = asked(lacking, "prove-coverage", "--level", level)

    assert code == 4
    (chain,) = document["chains"]
    (finding,) = chain["findings"]
    assert (finding["kind"], finding["block"], finding["log_index"]) == ("missing", *made.place)
    assert chain["mend"].startswith(f"crossmargin restate --chain {CHAIN}")
    assert chain["mend"].endswith(f" --from {made.place.block}")
    kept = standing(lacking)[finding["interest"]]
    assert kept["weakest"] == "contradicted"
    assert kept["findings"] == [finding]
    _, health = asked(lacking, "health", made.net.users[0])
    assert health["status"] == "unknown"
    assert "logs_contradicted" in {reason["code"] for reason in health["reasons"]}


def test_people_read_what_is_wrong_and_how_to_mend_it(made: Made, lacking: Path) -> None:
    done = crossmargin(lacking, "prove-coverage", "--from", str(made.place.block), "--to", str(made.place.block))

    assert done.returncode == 4
    assert f"log {made.place.log_index} of block {made.place.block}" in done.stdout
    assert "mend it with: crossmargin restate" in done.stdout
    assert f"log {made.place.log_index} of block {made.place.block}" in done.stderr
    assert "log" in crossmargin(lacking, "status").stdout


def test_less_than_was_asked_for_is_an_exit_code_of_its_own(whole: Path) -> None:
    code, document = asked(whole, "prove-coverage", "--level", "second-node")

    assert code == 3
    assert "only one node is configured" in json.dumps(document["chains"][0]["spans"])
    assert document["chains"][0]["unproven_blocks"] > 0


def test_a_part_is_proven_by_itself(made: Made, whole: Path) -> None:
    first, last = made.final - 6, made.final - 3

    code, document = asked(whole, "prove-coverage", "--venue", VENUE, "--from", str(first), "--to", str(last))

    assert code == 0
    assert [(s["interest"], s["first"], s["last"]) for s in document["chains"][0]["spans"]] == [
        (f"venue:{VENUE}", first, last)
    ]
    after = standing(whole)
    assert after["feeds"]["weakest"] == after[f"venue:{VENUE}"]["weakest"] == "fetched"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--venue", "aave"), 'did you mean "aave-31337"?'),
        (("--chain", "eip155:1"), "is not configured"),
        (("--venue", VENUE, "--chain", "eip155:1"), "is on eip155:31337"),
        (("--to", "999999"), "the last final block of eip155:31337 here is"),
        (("--level", "guess"), "--level"),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(whole: Path, arguments: tuple[str, ...], said: str) -> None:
    done: CompletedProcess[str] = crossmargin(whole, "prove-coverage", *arguments)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_span_that_holds_nothing_is_refused(whole: Path) -> None:
    done = crossmargin(whole, "--json", "prove-coverage", "--from", "5", "--to", "4")

    assert (done.returncode, done.stdout) == (2, "")
    assert "no final block from 5 to 4" in json.loads(done.stderr)["error"]["message"]


def test_the_command_that_is_printed_mends_the_store(made: Made, lacking: Path, whole: Path) -> None:
    _, document = asked(lacking, "prove-coverage")
    command = document["chains"][0]["mend"].split()

    mended = crossmargin(lacking, *command[1:])

    assert mended.returncode == 0, mended.stderr
    assert all(interest["findings"] == [] for interest in standing(lacking).values())
    code, document = asked(lacking, "prove-coverage")
    assert (code, document["chains"][0]["findings"]) == (0, [])
    for question in ("FROM public.fct_position", "FROM public.fct_price", "FROM public.lending_event"):
        ask = ("sql", f"{question} ORDER BY ALL")
        assert crossmargin(lacking, "--json", *ask).stdout == crossmargin(whole, "--json", *ask).stdout
