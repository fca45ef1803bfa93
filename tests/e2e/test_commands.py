"""The installed command over recorded chains: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crossmargin.cli.reference import leaves
from crossmargin.demo.recording import Recording
from crossmargin.exits import ExitCode
from tests.e2e.conftest import Indexed
from tests.support.forked import COMMAND
from tests.support.recorded import (
    CONFIGURATION,
    Nodes,
    configure,
    crossmargin,
    numbers_at,
    owner_of,
    recorded,
)

NATIVE = (
    "totalCollateralBase",
    "totalDebtBase",
    "availableBorrowsBase",
    "currentLiquidationThreshold",
    "ltv",
    "healthFactor",
)


COMMANDS = (
    "demo",
    "init",
    "completion",
    "check",
    "doctor",
    "index",
    "run",
    "serve",
    "status",
    "health",
    "stress",
    "what-if",
    "at-risk",
    "advise",
    "liquidations",
    "watch-list",
    "risk-run",
    "validate",
    "positions",
    "account",
    "prices",
    "sql",
    "publish",
    "mcp",
    "webhooks",
    "inputs",
    "snapshot",
    "keys",
    "liabilities",
    "haircuts",
    "policy",
    "score",
    "transfers",
    "backup",
    "restore",
    "rebuild",
)


def test_health_tells_the_contracts_own_numbers(indexed: Indexed) -> None:
    document = said(indexed, "health", "stretched")

    assert document["status"] == "watch"
    assert [venue["chain"] for venue in document["venues"]] == ["eip155:31337", "eip155:31338"]
    for recording, venue in zip(recorded(), document["venues"], strict=True):
        native = venue["units"][0]["native"]
        expected = numbers_at(recording, recording.story["last_block"], owner_of("stretched"))
        assert [native[name] for name in NATIVE] == expected


def test_health_as_of_a_block_of_each_chain(indexed: Indexed) -> None:
    north, south = recorded()
    bottom = f"{north.chain_id}={north.story['crash_block']},{south.chain_id}={south.story['crash_block']}"

    document = said(indexed, "health", "stretched", "--at", bottom)

    assert {at["block"] for at in document["as_of"].values()} == {156, 159}
    native = document["venues"][0]["units"][0]["native"]
    assert [native[name] for name in NATIVE] == numbers_at(north, 156, owner_of("stretched"))


def test_health_as_of_a_time_is_the_last_block_of_each_chain_by_then(indexed: Indexed) -> None:
    time = block_time(recorded()[0], 156)

    document = said(indexed, "health", "stretched", "--at", f"@{time + 3}")

    assert document["as_of"]["eip155:31337"]["block"] == 156


def test_the_same_account_by_every_name_it_has(indexed: Indexed) -> None:
    """A margin account and a bare key over both chains have the same venues; one CAIP-10 account has its own."""
    owner = owner_of("stretched")

    by_name, by_key = said(indexed, "health", "stretched"), said(indexed, "health", owner)
    single = said(indexed, "health", by_name["members"][0])

    assert by_key["venues"] == by_name["venues"]
    assert by_key["members"] == by_name["members"]
    assert single["venues"] == by_name["venues"][:1]


def test_the_inputs_of_an_answer_are_kept_under_their_own_hash(indexed: Indexed) -> None:
    digest = said(indexed, "health", "stretched")["input_digest"]

    done = crossmargin(indexed.folder, "inputs", digest)

    canonical = done.stdout.removesuffix("\n").encode()
    assert digest == f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    assert json.loads(canonical)["account"]["id"] == "stretched"


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("--fail-below", "1.3"), 0),
        (("--fail-below", "1.4"), 5),
        (("--fail-below", "1.6"), 5),
        ((), 0),
    ],
)
def test_fail_below_looks_at_the_lower_of_house_and_units(
    indexed: Indexed, arguments: tuple[str, ...], code: int
) -> None:
    """The house says 1.51, the weakest unit 1.35."""
    done = crossmargin(indexed.folder, "health", "stretched", *arguments)

    assert done.returncode == code
    assert "stretched" in done.stdout


def test_a_stale_price_makes_an_account_unknown_and_that_wins_over_the_threshold(indexed: Indexed) -> None:
    rewrite(indexed, 'heartbeat = "24h"', 'heartbeat = "1s"')

    done = crossmargin(indexed.folder, "health", "stretched", "--at", between_answers(), "--fail-below", "9")

    assert done.returncode == 3
    assert "UNKNOWN" in done.stdout
    assert "venue_price_stale" in done.stdout


def test_positions_prices_accounts_and_status_answer(indexed: Indexed) -> None:
    positions = said(indexed, "positions", "hedged")
    prices = said(indexed, "prices")
    accounts = said(indexed, "account", "list")
    account = said(indexed, "account", "show", "hedged")
    status = said(indexed, "status")

    assert {p["symbol"] for v in positions["venues"] for u in v["units"] for p in u["positions"]} == {"WETH", "USDC"}
    assert [price["identity"] for price in prices["prices"]] == ["BTC", "ETH", "USD", "wstETH"]
    assert {entry["account"]: entry["status"] for entry in accounts["accounts"]} == {
        "stretched": "watch",
        "hedged": "danger",
        "liquidated": "no_debt",
    }
    assert [unit["venue"] for unit in account["units"]] == ["aave-north", "aave-south"]
    assert [(chain["state"], chain["indexed"]["block"]) for chain in status["chains"]] == [
        ("stored", 199),
        ("stored", 202),
    ]


@pytest.mark.parametrize("command", ["health stretched", "positions hedged", "prices", "account list", "status"])
def test_what_people_read_is_on_stdout_and_nothing_else_is(indexed: Indexed, command: str) -> None:
    done = crossmargin(indexed.folder, *command.split())

    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_without_feeds_the_venues_own_prices_are_listed(indexed: Indexed) -> None:
    text = (indexed.folder / CONFIGURATION).read_text()
    tables = text.split("\n\n")
    (indexed.folder / CONFIGURATION).write_text("\n\n".join(t for t in tables if not t.startswith("[[feed]]")))

    prices = said(indexed, "prices")["prices"]

    assert [price["identity"] for price in prices] == ["BTC", "ETH", "USD", "wstETH"]
    assert {feed["kind"] for price in prices for feed in price["feeds"]} == {"venue"}


def test_sql_prints_rows_as_asked(indexed: Indexed) -> None:
    query = "SELECT 1.50::DECIMAL(38, 2) AS d, '=x' AS t, 'ab'::BLOB AS b, NULL AS n, [1] AS l"

    table = crossmargin(indexed.folder, "sql", query)
    rows = crossmargin(indexed.folder, "sql", query, "--format", "csv")
    document = said(indexed, "sql", query)
    piped = crossmargin(indexed.folder, "sql", "--format", "json", stdin=query)

    assert table.stdout.splitlines()[0].split() == ["d", "t", "b", "n", "l"]
    assert list(csv.reader(io.StringIO(rows.stdout)))[1] == ["1.50", "'=x", "0x6162", "", "[1]"]
    assert document["rows"] == [["1.50", "=x", "0x6162", None, [1]]]
    assert json.loads(piped.stdout) == document


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (("health", "nobody"), 2, 'there is no margin account "nobody"'),
        (("health", "streched"), 2, 'did you mean "stretched"?'),
        (("health", "0x12"), 2, "no address"),
        (("health", "eip155:5:0x0000000000000000000000000000000000000001"), 2, "chain that is not configured"),
        (("health", "stretched", "--at", "150"), 2, "block 150 of which chain?"),
        (("health", "stretched", "--at", "soon"), 2, "neither a block nor a time"),
        (("health",), 2, "Missing argument"),
        (("helth",), 2, "No such command"),
        (("health", "stretched", "--atx", "1"), 2, "No such option"),
        (("inputs", "sha256:00"), 2, "no inputs are kept"),
        (("sql", "DROP TABLE x"), 2, "only SELECT"),
        (("sql", "SELECT * FROM nothing"), 2, "there is no public view"),
        (("index", "--until", "soon"), 2, "--until must be latest, finalized or a block"),
        (("index", "--until", "5"), 2, "block 5 of which chain?"),
        (("index", "--chain", "eip155:5"), 2, "is not configured"),
        (("doctor", "--chain", "nort"), 2, 'no chain "nort" is configured; did you mean "north"?'),
        (("serve", "--host", "192.0.2.1"), 2, "say that it is meant with --public"),
        (("run", "--host", "192.168.1.1"), 2, "--public"),
        (("snapshot", "verify", "nothing"), 2, "there is no snapshot nothing"),
        (("--config", "absent.toml", "status"), 2, "there is no configuration file at absent.toml"),
    ],
)
def test_a_question_that_cannot_be_asked_ends_with_2_and_says_why(
    indexed: Indexed, arguments: tuple[str, ...], code: int, message: str
) -> None:
    plain, as_json = crossmargin(indexed.folder, *arguments), crossmargin(indexed.folder, *arguments, "--json")

    assert (plain.returncode, as_json.returncode) == (code, code)
    assert plain.stderr.startswith("error: ")
    assert message in plain.stderr
    assert (plain.stdout, as_json.stdout) == ("", "")
    error = json.loads(as_json.stderr)["error"]
    assert error["exit_code"] == code
    assert message in error["message"]
    assert "Traceback" not in plain.stderr


def test_a_block_above_the_last_one_is_not_answered(indexed: Indexed) -> None:
    account = said(indexed, "health", "stretched")["members"][0]

    done = crossmargin(indexed.folder, "health", account, "--at", "200")

    assert done.returncode == 1
    assert "block 200 of eip155:31337 is not indexed; the last one is 199" in done.stderr


def test_a_block_that_changed_nothing_is_asked_of_the_node(indexed: Indexed) -> None:
    """Below the finalised block only blocks with rows are stored: block 1 has none."""
    account = said(indexed, "health", "stretched")["members"][0]

    document = said(indexed, "health", account, "--at", "1")

    assert document["as_of"]["eip155:31337"]["hash"] == recorded()[0].blocks[1]["hash"]


def test_without_a_node_the_nearest_stored_blocks_are_named(indexed: Indexed) -> None:
    account = said(indexed, "health", "stretched")["members"][0]
    rewrite(indexed, indexed.nodes[0].url, "http://127.0.0.1:9/")

    done = crossmargin(indexed.folder, "health", account, "--at", "1")

    assert done.returncode == 1
    assert "block 1 of eip155:31337 changed nothing and is not stored" in done.stderr
    assert "the nearest stored blocks are" in done.stderr


def test_without_a_store_there_is_nothing_to_ask(indexed: Indexed) -> None:
    (indexed.folder / "crossmargin.duckdb").unlink()

    for command in ("health stretched", "status", "serve --port 0"):
        done = crossmargin(indexed.folder, *command.split())
        assert done.returncode == 1
        assert "there is no store here; run `crossmargin index`" in done.stderr
    assert not (indexed.folder / "crossmargin.duckdb").exists()


def test_a_store_that_another_process_holds_is_not_opened(indexed: Indexed) -> None:
    with duckdb.connect(str(indexed.folder / "crossmargin.duckdb")):
        done = crossmargin(indexed.folder, "health", "stretched")

    assert done.returncode == 1
    assert f"process {os.getpid()} has this store open" in done.stderr


def test_a_store_of_a_newer_program_is_not_opened(indexed: Indexed) -> None:
    with duckdb.connect(str(indexed.folder / "crossmargin.duckdb")) as con:
        (table,) = [
            row[0] for row in con.execute("SHOW TABLES").fetchall() if "migration" in row[0] or "version" in row[0]
        ]
        con.execute(f"UPDATE {table} SET version = 9999")  # noqa: S608 - a name from the catalogue

    done = crossmargin(indexed.folder, "health", "stretched")

    assert done.returncode == 1
    assert "newer" in done.stderr


def test_a_node_of_another_chain_is_a_wrong_configuration(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0])
    path = configure(tmp_path, [north], lambda text: text.replace("eip155:31337", "eip155:1"))

    done = crossmargin(tmp_path, "--config", str(path), "index")

    assert done.returncode == 2
    assert "serves chain id 31337, the configuration says 1" in done.stderr


def test_an_address_without_code_is_a_wrong_configuration(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0])
    configure(tmp_path, [north], lambda text: text.replace(north.recording.market["pool"], "0x" + "12" * 20))

    done = crossmargin(tmp_path, "index")

    assert done.returncode == 2
    assert "has no code" in done.stderr


def test_an_index_goes_on_where_it_stopped(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0])
    configure(tmp_path, [north])

    first = crossmargin(tmp_path, "index", "--until", "90", "--json")
    second = crossmargin(tmp_path, "index", "--json")
    finished = north.requests
    third = crossmargin(tmp_path, "index", "--json")

    assert [json.loads(done.stdout)["chains"][0]["block"] for done in (first, second, third)] == [90, 199, 199]
    assert "block 199 of 199" in second.stderr
    assert "100%" in second.stderr
    assert third.stderr == ""
    assert north.requests - finished < 10


def test_rebuild_derives_the_same_without_a_node(indexed: Indexed) -> None:
    before = said(indexed, "health", "stretched")
    for node in indexed.nodes:
        rewrite(indexed, node.url, "http://127.0.0.1:9/")

    done = crossmargin(indexed.folder, "rebuild")

    assert done.returncode == 0, done.stderr
    assert said(indexed, "health", "stretched") == before


def test_check_prints_the_whole_configuration_without_secrets(indexed: Indexed) -> None:
    rewrite(indexed, indexed.nodes[0].url, indexed.nodes[0].url + "v3/${NODE_KEY}")

    done = crossmargin(indexed.folder, "check", "--json", variables={"NODE_KEY": "canary"})

    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["chain"][0]["rpc"] == [f"{indexed.nodes[0].url}•••"]
    assert document["server"] == {"host": "127.0.0.1", "port": 0, "public": False, "anonymous": False, "origins": []}
    assert "canary" not in done.stdout


def test_check_refuses_an_asset_class_that_the_policy_lacks(indexed: Indexed) -> None:
    rewrite(indexed, 'class = "stable"', 'class = "stabel"')

    done = crossmargin(indexed.folder, "check")

    assert done.returncode == 2
    assert 'class "stabel" is not in the policy' in done.stderr


@pytest.mark.parametrize(
    "command", [["check"], ["check", "--json"], ["health", "stretched"], ["sql", "SELECT 1"], ["--help"]]
)
def test_who_stops_reading_ends_a_command_without_a_word_as_every_command_of_a_pipe_ends(
    indexed: Indexed, command: list[str]
) -> None:
    nobody_reads, end = os.pipe()
    os.close(nobody_reads)

    done = subprocess.run(
        [COMMAND, *command],
        cwd=indexed.folder,
        stdout=end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(end)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_command_that_has_nowhere_to_write_does_its_work(indexed: Indexed, closed: str) -> None:
    """And no file that it opens, its store first of all, is where it would have written."""
    script = f'exec "$0" health stretched {closed}'
    done = subprocess.run(["sh", "-c", script, COMMAND], cwd=indexed.folder, capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_colours_are_for_terminals(indexed: Indexed) -> None:
    done = crossmargin(indexed.folder, "health", "stretched", variables={"NO_COLOR": "1", "TERM": "dumb"})

    assert "\x1b" not in done.stdout


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = crossmargin(tmp_path, "--help", variables={"COLUMNS": "200"}).stdout

    for command in COMMANDS:
        assert f"│ {command} " in shown
    assert "Exit codes: 0 ok" in shown


def test_help_loads_none_of_the_heavy_libraries() -> None:
    script = (
        "import sys; import crossmargin.cli.main; "
        "print(*sorted({'duckdb', 'pyarrow', 'numpy', 'aiohttp', 'web3', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_commands_look_for_cycles_seldom() -> None:
    """What they import and compute is in no cycle, and looking for some takes a twentieth of their time."""
    script = (
        "import atexit, gc, sys; from crossmargin.cli.main import main; sys.argv = ['crossmargin', '--version']; "
        "atexit.register(lambda: print(gc.get_threshold()[0])); main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout.split()[-1]) == 100_000


def said(indexed: Indexed, *arguments: str) -> dict[str, Any]:
    """What a command says as JSON."""
    done = crossmargin(indexed.folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rewrite(indexed: Indexed, old: str, new: str) -> None:
    path = indexed.folder / CONFIGURATION
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def between_answers() -> str:
    """A block of each chain a minute and a half after the last answers."""
    return ",".join(f"{r.chain_id}={r.story['after_liquidations_block']}" for r in recorded())


def block_time(recording: Recording, number: int) -> int:
    return int(recording.blocks[number]["timestamp"], 16)


def test_the_manual_explains_every_command_option_and_exit_code(checkout: Path) -> None:
    manual = (checkout / "docs" / "cli.md").read_text(encoding="utf-8")

    missing = [" ".join(path) for path, _ in leaves() if f"### {' '.join(path)}\n" not in manual]
    for path, command in leaves():
        named = [name for each in command.params for name in (*each.opts, *each.secondary_opts) if name[:2] == "--"]
        missing += [f"{' '.join(path)} {name}" for name in named if not re.search(f"`[^`\\n]*{name}[ `]", manual)]
    missing += [str(int(code)) for code in ExitCode if f"| {int(code)} |" not in manual]

    assert missing == []
