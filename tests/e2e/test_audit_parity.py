"""`crossmargin audit-parity` asks the contracts themselves, and says, by its exit code too, whether they agree with the store."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import duckdb
import pytest
from eth_utils.address import to_checksum_address

from chains.evm.aave_v3.events import MINT
from chains.redaction import Redactor
from crossmargin.app import opened, policy_of
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import logger
from crossmargin.service import Parts, running_service
from crossmargin.settings import load
from crossmargin.watch import Watch
from indexer.store import Store
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.ledger import Tx
from tests.devnet.evm.market import Reserve
from tests.support.omitting import Place, omitting
from tests.support.product import chain_tables, crossmargin

CHAIN = "eip155:31337"
VENUE = "aave-31337"
ESCROW = f"""
[[venue]]
id = "vault"
protocol = "escrow"
chain = "{CHAIN}"
address = "0x00000000000000000000000000000000000000e5"
start_block = 1
deposit_event = "Deposited(address indexed account, address indexed token, uint256 amount)"
withdraw_event = "Withdrawn(address indexed account, address indexed token, uint256 amount)"
liabilities = "none"
"""
ALL = "1000"
STRANGER = "0x" + "5e" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A devnet, and a folder with all of it in a store."""

    net: Devnet
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("indexed")
    with build(seed=6, actions=60, users=8, slots_in_an_epoch=4) as net:
        index(folder, configuration(net, net.url))
        yield Made(net=net, folder=folder)


def index(folder: Path, text: str) -> None:
    (folder / "crossmargin.toml").write_text(text)
    done = crossmargin(folder, "index")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    shutil.copytree(made.folder, tmp_path / "own")
    return tmp_path / "own"


def audited(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = crossmargin(folder, "audit-parity", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def asked(folder: Path, query: str) -> list[list[Any]]:
    done = crossmargin(folder, "--json", "sql", query)
    assert done.stdout, done.stderr
    return list(json.loads(done.stdout)["rows"])


def codes(folder: Path, account: str) -> set[str]:
    """Why an account is unknown for want of data."""
    health = json.loads(crossmargin(folder, "--json", "health", account).stdout)
    missing = {reason["code"] for reason in health["completeness"]["missing"]}
    assert not missing or health["status"] == "unknown"
    return missing


def change_debt(folder: Path, by: int) -> str:
    """Let the store say that somebody owes more, or less again, than he does; returns the account."""
    with duckdb.connect(str(folder / "data" / "crossmargin.duckdb")) as con:
        unit, market = con.execute(
            "SELECT unit_id, market FROM position_current WHERE side = 'borrow' AND amount_raw > 0 ORDER BY unit_id LIMIT 1"
        ).fetchall()[0]
        for table in ("position_change", "position_current"):
            con.execute(
                f"UPDATE {table} SET amount_raw = amount_raw + {by}"  # noqa: S608 - one of two names
                " WHERE unit_id = ? AND market = ? AND side = 'borrow'",
                [unit, market],
            )
    return f"{CHAIN}:0x{unit.hex()}"


def test_a_store_that_is_right_is_equal_view_by_view(folder: Path) -> None:
    code, document = audited(folder, "--sample", ALL)

    (run,) = document["venues"]
    assert (code, document["differences"], document["skipped"]) == (0, [], [])
    assert (run["venue"], run["parity"], run["different"], run["unanswered"]) == (VENUE, "1.000000", 0, 0)
    assert run["equal"] > 40
    assert asked(folder, "SELECT outcome, count(*) FROM public.fct_parity_check GROUP BY outcome") == [
        ["equal", run["equal"]]
    ]
    assert asked(folder, "SELECT parity_ratio, units FROM public.fct_parity_run") == [[1.0, run["units"]]]


def test_a_difference_is_found_makes_the_account_unknown_and_is_over_when_the_contracts_agree_again(
    folder: Path,
) -> None:
    account = change_debt(folder, 1)
    assert codes(folder, account) == set()

    code, document = audited(folder, "--sample", ALL)

    assert code == 4
    assert {f"{CHAIN}:{each['unit'].lower()}" for each in document["differences"]} == {account}
    (balance,) = (each for each in document["differences"] if each["view"] == "scaledBalanceOf")
    assert int(balance["ours"]["scaledBalanceOf"]) == int(balance["theirs"]["scaledBalanceOf"]) + 1
    (total,) = document["residuals"]
    assert (total["total"], total["residual"], total["outcome"]) == ("scaledTotalSupply", "-1", "different")
    assert codes(folder, account) == {"parity_differs", "total_differs"}
    assert codes(folder, f"{CHAIN}:{STRANGER}") == {"total_differs"}
    (status,) = json.loads(crossmargin(folder, "--json", "status").stdout)["chains"]
    assert status["audited"][0]["views"]["different"] == len(document["differences"])

    change_debt(folder, -1)
    code, document = audited(folder, "--sample", "1")

    assert (code, document["differences"]) == (0, [])
    assert codes(folder, account) == set()
    assert (document["residuals"], document["venues"][0]["totals"]["equal"] > 5) == ([], True)


def test_a_log_that_no_node_gave_is_a_residual_that_makes_everybody_unknown(made: Made, tmp_path: Path) -> None:
    """Nobody can tell whose log it was: of an account that is missing altogether no view would be asked."""
    asyncio.run(index_without(made, last_mint(made), tmp_path))
    account = f"{CHAIN}:{STRANGER}"
    before = codes(tmp_path, account)

    code, document = audited(tmp_path, "--sample", ALL)

    assert (before, code) == (set(), 4)
    assert [total["outcome"] for total in document["residuals"]] == ["different"]
    assert codes(tmp_path, account) == {"total_differs"}
    shown = crossmargin(tmp_path, "status")
    assert "scaledTotalSupply" in shown.stdout


def test_a_venue_that_lost_a_token_is_short_of_it_and_what_is_there_counts(made: Made, tmp_path: Path) -> None:
    """Nobody's balance changed, and no event of the venue told of it: the token alone knows."""
    index(tmp_path, configuration(made.net, made.net.url))
    owner, reserve = supplier(tmp_path, made.net)
    before = json.loads(crossmargin(tmp_path, "--json", "health", owner).stdout)
    held = rob(made.net, reserve)
    index(tmp_path, configuration(made.net, made.net.url))

    code, document = audited(tmp_path, "--sample", ALL)

    after = json.loads(crossmargin(tmp_path, "--json", "health", owner).stdout)
    assert (code, document["differences"], document["residuals"]) == (0, [], [])
    (missing,) = document["shortfalls"]
    assert (missing["asset"], missing["held"]) == (to_checksum_address(reserve.asset), str(held - held * 9 // 10))
    assert int(missing["shortfall"]) > held // 2
    assert "venue_short" in {reason["code"] for reason in after["reasons"]} - {r["code"] for r in before["reasons"]}
    assert float(after["collateral"]["raw"]) < float(before["collateral"]["raw"])
    (status,) = json.loads(crossmargin(tmp_path, "--json", "status").stdout)["chains"]
    assert [each["asset"] for each in status["audited"][0]["shortfalls"]] == [missing["asset"]]


def supplier(folder: Path, net: Devnet) -> tuple[str, Reserve]:
    """Somebody who lends something that has a price, and what; most of it is there."""
    for owner in net.users:
        account = f"{CHAIN}:{owner.lower()}"
        health = json.loads(crossmargin(folder, "--json", "health", account).stdout)
        positions = [each for venue in health["venues"] for unit in venue["units"] for each in unit["positions"]]
        lent = {
            each["asset"].rpartition(":")[2] for each in positions if each["side"] == "supply" and each["value_usd"]
        }
        for held in net.scene.collateral(owner):
            supply = int(net.node.eth_call(held.reserve.a_token, calldata("totalSupply()")), 16)
            if to_checksum_address(held.reserve.asset) in lent and cash(net, held.reserve) * 2 > supply:
                return account, held.reserve
    raise AssertionError("nobody lends anything with a price of which half is there")


def rob(net: Devnet, reserve: Reserve) -> int:
    """Let nine tenths of what an aToken holds vanish; returns what it held."""
    held = cash(net, reserve)
    net.ledger.enrich((reserve.a_token,))
    payload = calldata("transfer(address,uint256)", STRANGER, held * 9 // 10)
    net.ledger.do(Tx(sender=reserve.a_token, to=reserve.asset, payload=payload))
    return held


def cash(net: Devnet, reserve: Reserve) -> int:
    question = calldata("balanceOf(address)", reserve.a_token)
    return int(net.node.eth_call(reserve.asset, question), 16)


def last_mint(made: Made) -> Place:
    """A log by which somebody came to hold more of a token."""
    with Store.open(made.folder / "data" / "crossmargin.duckdb", read_only=True) as store:
        rows = store.records(CHAIN).table("evm_log", 0, made.net.node.height())
    found = rows.select(["topic0", "block_number", "log_index"]).to_pylist()
    last = [each for each in found if each["topic0"] == MINT.topic0][-1]
    return Place(last["block_number"], last["log_index"])


async def index_without(made: Made, place: Place, folder: Path) -> None:
    async with omitting(made.net.url, [place]) as node:
        await asyncio.to_thread(index, folder, configuration(made.net, node.url))
    (folder / "crossmargin.toml").write_text(configuration(made.net, made.net.url))


def configuration(net: Devnet, url: str) -> str:
    nodes = f'rpc = ["{url}"]\ncompleteness = "none"'
    return chain_tables(net).replace(f'rpc = ["{net.url}"]', nodes).replace('"finalized"', '"latest"')


def test_the_sample_goes_round_so_that_everybody_is_visited_once_a_round(folder: Path) -> None:
    everybody = audited(folder, "--sample", ALL)[1]["venues"][0]["units"]
    visited, rounds = 0, set()
    while visited < everybody:
        (run,) = audited(folder, "--sample", "7")[1]["venues"]
        visited += run["units"]
        rounds.add(run["round"])

    assert visited == everybody
    assert rounds == {1}
    assert audited(folder, "--sample", "7")[1]["venues"][0]["round"] == 2


def test_where_nothing_can_be_compared_nothing_is_said_to_be_equal(made: Made, folder: Path) -> None:
    with (folder / "crossmargin.toml").open("a") as file:
        file.write(ESCROW)

    code, document = audited(folder, "--venue", VENUE, "--at", "1")
    empty, of_vault = audited(folder, "--venue", "vault")
    ahead = crossmargin(folder, "audit-parity", "--at", str(made.net.node.height() + 1))

    assert (code, document["venues"]) == (3, [])
    assert document["skipped"] == [{"venue": VENUE, "reason": "nothing is noted of anybody there at that block"}]
    assert (empty, of_vault["venues"]) == (3, [])
    assert of_vault["skipped"] == [{"venue": "vault", "reason": "nothing is noted of anybody there at that block"}]
    assert (ahead.returncode, "is not indexed" in ahead.stderr) == (1, True)


def test_a_service_audits_by_itself_and_tells_prometheus(folder: Path) -> None:
    change_debt(folder, 1)
    text = asyncio.run(served_metrics(folder))

    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    about = f'chain="{CHAIN}",venue="{VENUE}"'
    views = f'crossmargin_parity_views{{chain="{CHAIN}",outcome="%s",venue="{VENUE}"}}'
    assert values[views % "different"] >= 1
    assert values[views % "equal"] > 20
    assert 0 < values[f"crossmargin_parity_ratio{{{about}}}"] < 1
    assert values[f"crossmargin_parity_last_run_timestamp_seconds{{{about}}}"] > 1_700_000_000


async def served_metrics(folder: Path) -> str:
    with (folder / "crossmargin.toml").open("a") as file:
        file.write("[audit]\nsample = 1000\n[server]\nport = 0\n")
    settings = load(folder / "crossmargin.toml")
    with opened(settings) as store:
        watch = Watch(settings.chains, lambda: store.cursor(CHAIN).block.time)  # type: ignore[union-attr]
        desk = LocalDesk(settings, store, policy_of(settings), watch=watch)
        log = logger(Redactor(), quiet=True)
        parts = Parts(settings=settings, store=store, desk=desk, watch=watch, redactor=Redactor(), log=log)
        async with running_service(parts) as url:
            text = await asyncio.to_thread(metrics_with, "crossmargin_parity_ratio{", url)
            asked = await asyncio.to_thread(audited, folder, "--sample", ALL)
            assert (asked[0], asked[1]["venues"][0]["round"]) == (4, 1), "a command asks the service while it runs"
            return text


def metrics_with(name: str, url: str) -> str:
    """Read metrics until one is among them; the test's own limit ends it."""
    while name not in (text := metrics(url)):
        sleep(0.1)
    return text


def metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:  # noqa: S310 - our own loopback address
        return str(reply.read(), "utf-8")
