"""The demonstration: two recorded EVM chains and a Solana chain, a crash, every number the chains' own, the same on every run."""

from __future__ import annotations

import json
import re
import resource
import subprocess
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from chains.identifiers import from_base58
from crossmargin.demo.parity import Comparison, Kind, compare
from crossmargin.demo.recorded import Recorded, shipped
from crossmargin.demo.story import STATIONS, strides, way
from crossmargin.settings import load
from indexer.store import Store
from tests.support.forked import COMMAND
from tests.support.recorded import crossmargin, environment, recorded, recorded_solana

Result: TypeAlias = tuple[dict[str, Any], str, float]
Expected: TypeAlias = list[dict[str, Any]]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What the demonstration says, as a document and as text, and how many seconds of a processor it took with all its processes."""
    folder, before = tmp_path_factory.mktemp("demo"), processor_s()
    command = [COMMAND, "demo", "--no-serve", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment(None), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout, processor_s() - before


@pytest.fixture
def shown(played: Path) -> tuple[str, str, Path]:
    """What people see on a narrow terminal's stdout and on stderr, and the folder that was kept."""
    out, err = ((played / name).read_text(encoding="utf-8") for name in ("out", "err"))
    return out, err, played / "kept"


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_it_takes_less_than_a_minute(result: Result) -> None:
    """Of one processor, however many others share it."""
    assert 1 < result[2] < 60


def test_everything_that_the_chains_said_is_ours_too(result: Result) -> None:
    accounts = sum(len(item["accounts"]) for recording in recorded() for item in recording.expected)
    balances = sum(len(item["accounts"]) for item in recorded_solana().expected)
    deposits = sum(len(mints) for item in recorded_solana().expected for mints in item["depositors"].values())

    assert result[0]["parity"] == {
        "compared": accounts + balances + deposits,
        "equal": accounts + balances + deposits,
        "kinds": {
            "aave_account_data": {"compared": accounts, "equal": accounts},
            "spl_token_balance": {"compared": balances, "equal": balances},
            "spl_net_deposit": {"compared": deposits, "equal": deposits},
        },
        "different": [],
    }
    assert accounts > 4_000
    assert balances > 20
    assert deposits > 400


def test_a_single_unit_that_differs_is_found(shown: tuple[str, str, Path]) -> None:
    south, east = recorded()[1], recorded_solana()

    assert different(shown[2], replace(south, expected=south.expected[:1])) == []
    assert [item.kind for item in different(shown[2], doctored(east, one_unit_more("accounts")))] == [
        Kind.TOKEN_BALANCE
    ]
    assert [item.kind for item in different(shown[2], doctored(east, one_unit_more("depositors")))] == [
        Kind.NET_DEPOSIT
    ]


def test_a_depositor_too_many_or_too_few_is_found(shown: tuple[str, str, Path]) -> None:
    def forget_one(expected: Expected) -> None:
        expected[0]["depositors"].popitem()

    (extra, *others) = different(shown[2], doctored(recorded_solana(), forget_one))

    assert (extra.kind, extra.theirs) == (Kind.NET_DEPOSIT, None)
    assert {item.subject.partition(" ")[0] for item in others} <= {extra.subject.partition(" ")[0]}


def test_one_account_has_members_on_both_kinds_of_network(result: Result) -> None:
    east = recorded_solana()
    for station, (_, event) in zip(result[0]["stations"], STATIONS, strict=True):
        health = station["health"]
        pinned = {
            north.chain_id: (north.story[event], north.blocks[north.story[event]]["hash"]) for north in recorded()
        } | {east.chain_id: (east.story[event], east.blocks[east.story[event]]["blockhash"])}

        assert {chain: (at["block"], at["hash"]) for chain, at in health["as_of"].items()} == pinned
        assert len({at["time"] for at in health["as_of"].values()}) == 1
        assert {venue["venue"] for venue in health["venues"]} == {"aave-north", "aave-south", "vault-east"}
        assert {member.rpartition(":")[0] for member in health["members"]} == set(pinned)
        assert health["completeness"]["complete"] is True
        assert health["reasons"] == []


def test_the_dollar_is_one_identity_on_all_chains(result: Result) -> None:
    (dollar,) = [price for price in result[0]["stations"][-1]["health"]["prices"] if price["identity"] == "USD"]

    assert [feed["kind"] for feed in dollar["feeds"]] == ["chainlink", "chainlink", "pyth-solana"]
    assert all(feed["used"] for feed in dollar["feeds"])


def test_collateral_on_solana_lifts_the_house_and_no_venue(result: Result) -> None:
    stations = {station["station"]: station for station in result[0]["stations"]}
    bottom, after = stations["the bottom"], stations["after liquidations"]
    call = result[0]["margin_call"]

    assert (call["symbol"], call["amount_raw"], call["venue"]) == ("USDC", "90000000000", "vault-east")
    assert Decimal(call["amount"]) == 90_000
    assert call["block"] == recorded_solana().story["margin_call_block"]
    assert len(from_base58(call["transaction"])) == 64
    assert on_solana(after["health"]) - on_solana(bottom["health"]) > 89_000
    assert factor(after["health"]) - factor(bottom["health"]) > Decimal("0.3")
    for station in result[0]["stations"]:
        assert factor(station["health"]) > factor(station["without_solana"])
        assert station["health"]["min_unit_health_factor"] == station["without_solana"]["min_unit_health_factor"]
    assert bottom["health"]["min_unit_health_factor"] == after["health"]["min_unit_health_factor"]


def test_the_crash_weakens_the_account_with_debt_on_both_evm_chains(result: Result) -> None:
    stations = {station["station"]: station for station in result[0]["stations"]}
    before, bottom = stations["before the crash"], stations["the bottom"]
    indebted = {
        venue["chain"]
        for venue in before["health"]["venues"]
        for unit in venue["units"]
        if unit["debt"] is not None and float(unit["debt"]) > 0
    }

    assert factor(bottom["health"]) < factor(before["health"])
    assert indebted == {recording.chain_id for recording in recorded()}
    assert bottom["statuses"]["liquidatable"] > before["statuses"]["liquidatable"]
    assert stations["after liquidations"]["liquidations"] > bottom["liquidations"] > before["liquidations"] == 0


def test_the_weakest_accounts_come_weakest_first(result: Result) -> None:
    lowest = [
        min(float(value) for value in (entry["health_factor"], entry["min_unit_health_factor"]) if value is not None)
        for entry in result[0]["weakest"]
    ]

    assert len(lowest) == 10
    assert lowest == sorted(lowest)


def test_its_snapshot_is_verified_and_cuts_every_chain(result: Result) -> None:
    assert result[0]["snapshot"]["verified"] is True
    assert result[0]["snapshot"]["cut"].keys() == {recording.chain_id for recording in shipped()}


def test_the_result_is_the_same_on_every_run(result: Result, tmp_path: Path) -> None:
    again = crossmargin(tmp_path, "demo", "--no-serve", "--json", "--quiet")

    assert unsigned(again.stdout) == unsigned(result[1])
    assert again.stderr == ""


def unsigned(text: str) -> str:
    """Each demo makes a key of its own, which its snapshot names."""
    return re.sub('"manifest_hash": ?"sha256:[0-9a-f]{64}"', "", text)


def test_people_are_shown_the_same(result: Result, shown: tuple[str, str, Path]) -> None:
    out, err, kept = shown

    assert "The ten weakest accounts" in out
    assert re.search("sha256:[0-9a-f]{64}", out)  # another one than `result`'s: each demo signs with a key of its own
    assert "stretched brings 90,000 USDC to vault-east" in out
    assert f"{result[0]['parity']['kinds']['spl_net_deposit']['equal']} of " in out
    assert all(len(line) <= 80 for line in out.partition("╭")[0].splitlines())
    assert "block 141 of 141" in err
    assert {path.name for path in kept.iterdir()} == {"crossmargin.duckdb", "crossmargin.toml", "keys", "snapshots"}


def test_it_keeps_nothing_of_anybodys_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()

    done = crossmargin(tmp_path, "demo", "--no-serve", "--keep", "mine")

    assert done.returncode == 2
    assert "is not empty" in done.stderr


def test_all_chains_go_side_by_side_over_their_own_blocks() -> None:
    assert strides([range(10, 34), [300, 310, 325, 370], [7]]) == [[17, 310, 7], [25, 325, 7], [33, 370, 7]]
    assert strides([[5], [9]]) == [[5, 9]]


def test_the_way_of_a_chain_leads_over_slots_that_hold_a_block() -> None:
    east = recorded_solana()
    start, goal = int(east.story["crash_first_block"]), int(east.story["crash_block"])

    steps = way(east, start, goal)

    assert (steps[0], steps[-1]) == (start, goal)
    assert set(steps) <= east.blocks.keys()
    assert len(steps) < 20 < goal - start


def factor(health: dict[str, Any]) -> Decimal:
    return Decimal(health["health_factor"])


def on_solana(health: dict[str, Any]) -> Decimal:
    """What the account's members on Solana hold, in USD."""
    (vault,) = [venue for venue in health["venues"] if venue["venue"] == "vault-east"]
    return sum((Decimal(p["value_usd"]) for unit in vault["units"] for p in unit["positions"]), Decimal(0))


def different(kept: Path, recording: Recorded) -> list[Comparison]:
    """What a kept store says otherwise than a recording."""
    settings = load(kept / "crossmargin.toml", {})
    (venue,) = [venue for venue in settings.venues if venue.chain_id == recording.chain_id]
    with Store.open(settings.store) as store, store.reading() as reader:
        return [item for item in compare(reader, venue, recording) if item.ours != item.theirs]


def doctored(recording: Recorded, change: Callable[[Expected], None]) -> Recorded:
    """A recording that expects something else."""
    expected: Expected = json.loads(json.dumps(recording.expected))
    change(expected)
    return replace(recording, expected=expected)


def one_unit_more(part: str) -> Callable[[Expected], None]:
    """One more unit of the first number of a part."""

    def change(expected: Expected) -> None:
        numbers = expected[0][part]
        while not isinstance(first := numbers[min(numbers)], str):
            numbers = first
        numbers[min(numbers)] = str(int(first) + 1)

    return change
