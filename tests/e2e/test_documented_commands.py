"""Every command that documents name is run: those in their prose here, calls in their blocks in test_examples, others where it is said."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from bench.__main__ import BENCHMARKS
from crossmargin.cli.reference import leaves
from tests.e2e import test_bars, test_json_everywhere
from tests.e2e.conftest import Indexed
from tests.e2e.test_examples import CALL
from tests.e2e.test_score import written
from tests.support.recorded import CONFIGURATION, crossmargin, recorded
from tests.support.walks import walks

FENCE = re.compile(r"^(```|~~~)(\w*)\n(.*?)^\1", flags=re.MULTILINE | re.DOTALL)
PREFIX = re.compile(r"^(?:\.venv/bin/|/opt/crossmargin/bin/)")
PROGRAMS = [
    "crossmargin",
    "curl",
    "make",
    "duckdb",
    "python",
    "python3.11",
    "pip",
    "docker",
    "systemctl",
    "install",
    "cp",
]
SHELLS = ("", "sh", "bash", "console", "shell")

NORTH = recorded()[0].chain_id
AS_WRITTEN = "as it is written"

BOTH = ",".join(f"{each.chain_id}=150" for each in recorded())

RUN: Mapping[str, str] = {
    "crossmargin init --chain base --chain ethereum --protocol aave-v3": (
        "crossmargin init --chain base --chain ethereum --protocol aave-v3 --output new.toml"
    ),
    'crossmargin sql "SELECT …"': 'crossmargin sql "SELECT count(*) FROM dim_market"',
    "crossmargin backup before-upgrade": AS_WRITTEN,
    "crossmargin prices import ETH.csv BTC.parquet": AS_WRITTEN,
    "crossmargin haircuts estimate BTC.csv ETH.parquet --horizon 4h": AS_WRITTEN,
    "crossmargin haircuts backtest BTC.csv --require fhs": AS_WRITTEN,
    "crossmargin score calibrate BTC.csv ETH.csv --since 2024-01-01": AS_WRITTEN,
    "crossmargin score calibrate --days N": "crossmargin score calibrate BTC.csv --since 2024-01-01 --days 1",
    "crossmargin webhooks add URL": "crossmargin webhooks add {hook}",
    "crossmargin webhooks test ID": "crossmargin webhooks test {webhook}",
    "crossmargin webhooks log ID": "crossmargin webhooks log {webhook}",
    "crossmargin inputs DIGEST": "crossmargin inputs {digest}",
    "crossmargin index --until BLOCK": f"crossmargin index --chain {NORTH} --until 150",
    "crossmargin doctor --chain ID": "crossmargin doctor --chain north",
    "crossmargin restate --chain ID --from BLOCK": f"crossmargin restate --chain {NORTH} --from 190",
    "crossmargin restate --chain ID --venue VENUE": f"crossmargin restate --chain {NORTH} --venue aave-north",
    "crossmargin what-if ID": "crossmargin what-if acme --shock ETH=-0.1",
    "crossmargin advise ID": "crossmargin advise acme",
    "crossmargin --config other.toml health ID --at BLOCK": f"crossmargin --config other.toml health acme --at {BOTH}",
}
"""What documents show, and what is run of it, where names stand for what a reader puts there."""

ALSO_RUN = (
    "crossmargin keys list",
    "crossmargin webhooks list",
    "crossmargin webhooks remove {webhook}",
    "crossmargin liabilities list",
    "crossmargin lake show",
    "crossmargin lake tidy",
)
"""What docs/cli.md explains and no other test runs."""

ENDS_WITH: Mapping[str, frozenset[int]] = {
    "crossmargin doctor --chain ID": frozenset({3}),  # what was recorded is old, and no node that follows
    "crossmargin haircuts backtest BTC.csv --require fhs": frozenset({0, 4}),
    "crossmargin score calibrate BTC.csv ETH.csv --since 2024-01-01": frozenset({0, 4}),
    "crossmargin score calibrate --days N": frozenset({0, 4}),
}
"""Exit codes that a right answer may have, where they are not 0 alone."""

ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "install -d /etc/crossmargin": ("tests/e2e/test_documented_commands.py", "def test_the_setting_up_under_systemd"),
    "cp ops/systemd/* /etc/systemd/system/": (
        "tests/e2e/test_documented_commands.py",
        "def test_the_setting_up_under_systemd",
    ),
    "crossmargin haircuts challenge BTC.csv ETH.csv": ("tests/e2e/test_learning.py", '"haircuts", "challenge"'),
    "crossmargin validate BTC.csv ETH.csv --out pack": ("tests/e2e/test_learning.py", '"validate", *files, "--out"'),
    "crossmargin completion fish | source": ("tests/e2e/test_completion.py", '"completion"'),
    "crossmargin liquidations lag --scenario NAME --hours N": (
        "tests/e2e/test_liquidations.py",
        '"liquidations", "lag"',
    ),
    "crossmargin restore NAME": ("tests/e2e/test_backups.py", '"restore", "first"'),
    "crossmargin serve --lake": ("tests/e2e/test_lake.py", '"--lake"'),
    "crossmargin restate --from": ("tests/e2e/test_restating.py", '"restate"'),
    'curl -N "localhost:8080/v1/stream?min_band=danger&after=0"': ("tests/e2e/test_streams.py", "/v1/stream?"),
    "duckdb -readonly current/crossmargin.duckdb": (
        "tests/e2e/test_documented_commands.py",
        "def test_what_is_published_is_read_by_duckdb",
    ),
    "docker compose up": ("tests/packaging/test_containers.py", "docker-compose.yml"),
    "docker compose run --rm live-north --config crossmargin.toml keys api create aggregator --scope follow": (
        "tests/packaging/test_containers.py",
        "docker-compose.yml",
    ),
    "docker compose --profile live up": ("tests/packaging/test_containers.py", "docker-compose.yml"),
    "docker compose --profile lake up": ("tests/packaging/test_containers.py", "docker-compose.yml"),
    "make demo": ("tests/e2e/test_demo.py", '"demo"'),
    "make demo ARGS=--no-serve": ("tests/e2e/test_demo.py", '"--no-serve"'),
    "make bench-sync ARGS=--help": ("tests/e2e/test_documented_commands.py", "def test_the_benchmark_of_a_sync"),
    "pip install 'crossmargin[mcp]'": ("tests/packaging/test_wheel.py", "extra"),
    "pip install 'crossmargin[timestamps]'": ("tests/packaging/test_wheel.py", "extra"),
    "pip install crossmargin[otel]": ("tests/packaging/test_wheel.py", "extra"),
}
"""What another test runs: its file, and what stands there."""

TESTED_IN: Mapping[str, tuple[str, ...]] = {
    "test_demo.py": ("demo",),
    "test_completion.py": ("completion",),
    "test_service.py": ("run",),
    "test_http.py": ("serve",),
    "test_mcp.py": ("mcp",),
    "test_learning.py": ("validate", "haircuts challenge"),
    "test_prove_coverage.py": ("prove-coverage",),
    "test_audit_parity.py": ("audit-parity",),
    "test_commands.py": ("health", "positions", "rebuild"),
    "test_membership.py": ("account link", "account revoke"),
    "test_snapshots.py": ("snapshot verify", "snapshot prove", "snapshot witness"),
    "test_restating.py": ("snapshot diff",),
    "test_json_everywhere.py": ("keys create",),
    "test_api_keys.py": ("keys api create", "keys api list", "keys api revoke"),
    "test_liabilities.py": ("liabilities import", "liabilities sign", "liabilities key"),
    "test_histories.py": ("haircuts recommend", "transfers import", "transfers list"),
    "test_liquidations.py": ("liquidations lag",),
    "test_policy.py": ("policy schedule", "policy withdraw"),
}
"""Commands that tests of their own run."""

NOT_RUN: Mapping[str, str] = {
    "make test": "it runs these tests",
    "make check": "it is run beside these tests",
    "make fix": "it changes the files of the checkout",
    "make coverage": "it runs these tests",
    "make lock": "it asks the package index and changes the locks",
    "make audit": "it asks a database of known faults",
    "make sbom": "it asks the package index",
    "make storm": "tests/simulation runs the same storm with other seeds",
    "make bench-sync": "it measures for an hour",
    "make bench-sync ARGS=--quick": "it measures for minutes",
    'make bench-sync ARGS="--sizes 1m,10m --sources recorded --peers none"': "it measures for hours",
    "python3.11 -m venv /opt/crossmargin": "scripts/setup-venv does, before every test",
    "pip install --require-hashes -r requirements.lock": "scripts/setup-venv does, before every test",
    "pip install --no-deps .": "tests/packaging installs the wheel so",
    "systemctl enable --now crossmargin.service crossmargin-backup.timer": "it changes the machine",
    "systemctl status crossmargin": "it is the system's own",
}
"""What no test runs, and why."""


@pytest.fixture(scope="module")
def documented(checkout: Path, tracked: frozenset[str]) -> dict[str, str]:
    """Each command that is shown, without its comment and the folder of its program, and where."""
    names = sorted(path for path in tracked if re.fullmatch(r"(?:README|CONTRIBUTING|SECURITY|docs/[a-z-]+)\.md", path))
    return {command: name for name in names for command in commands_of((checkout / name).read_text(encoding="utf-8"))}


def commands_of(text: str) -> Iterator[str]:
    lines = [line for fence in FENCE.finditer(text) if fence[2] in SHELLS for line in fence[3].splitlines()]
    blocks = [line for line in lines if not CALL.match(line.strip()) and not line.startswith("curl ")]
    spans = [code for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)) if " " in code]
    for line in (*blocks, *spans):
        command = re.sub(r"\s{2,}#.*$", "", PREFIX.sub("", line.strip())).strip()
        if command.partition(" ")[0] in PROGRAMS and not re.search(r"→|\\n|\[OPTIONS\]|^crossmargin \w+ v\d", command):
            yield command


def test_every_command_of_a_document_is_run_or_there_is_a_reason(documented: Mapping[str, str]) -> None:
    names = {" ".join(path) for path, _ in leaves()}
    groups = {name.partition(" ")[0] for name in names}
    known = RUN.keys() | ELSEWHERE.keys() | NOT_RUN.keys()
    missing = [
        f"{where}: {command}"
        for command, where in documented.items()
        if command not in known
        and command.removeprefix("crossmargin ") not in names | groups
        and not command.startswith("python -m bench")
    ]

    assert len(documented) > 80
    assert missing == []


def test_what_is_listed_here_is_shown_in_a_document(documented: Mapping[str, str]) -> None:
    assert (RUN.keys() | ELSEWHERE.keys() | NOT_RUN.keys()) - documented.keys() == set()


def test_every_command_of_the_manual_is_run(checkout: Path) -> None:
    """Here, in what each says as JSON, in how each shows what is left, or in the test that is named."""
    run = {tuple(shlex.split(text)[1:]) for text in (*RUN, *ALSO_RUN)}
    run |= {*test_json_everywhere.CALLS, *test_bars.SHOWN, *test_bars.PASSING}
    named = {tuple(command.split()): name for name, commands in TESTED_IN.items() for command in commands}
    lacking = [
        name
        for command, name in named.items()
        if ", ".join(f'"{word}"' for word in command)
        not in (checkout / f"tests/e2e/{name}").read_text(encoding="utf-8")
    ]

    assert lacking == []
    assert [
        path for path, _ in leaves() if path not in named and not any(each[: len(path)] == path for each in run)
    ] == []


@pytest.mark.parametrize("command", ELSEWHERE)
def test_the_test_that_is_named_has_it(checkout: Path, command: str) -> None:
    name, what = ELSEWHERE[command]

    assert what in (checkout / name).read_text(encoding="utf-8")


def test_every_benchmark_that_is_named_is_there(documented: Mapping[str, str]) -> None:
    named = {command.removeprefix("python -m ") for command in documented if command.startswith("python -m bench")}

    assert len(named) > 10
    assert {name.partition(" ")[2] for name in named if " " in name} <= set(BENCHMARKS)
    assert all(find_spec(name) is not None for name in named if " " not in name)


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    """An address on this machine that takes what it is sent."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/taken"
        server.shutdown()


@pytest.fixture(scope="module")
def folder(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everything that documents speak of: an account `acme`, histories, a snapshot, a lake."""
    made = tmp_path_factory.mktemp("documented") / "indexed"
    shutil.copytree(indexed_once.folder, made)
    text = (made / CONFIGURATION).read_text().replace('"stretched"', '"acme"')
    text += '\n[lake]\nurl = "lake"\n\n[webhooks]\nloopback = true\n'
    (made / CONFIGURATION).write_text(text)
    (made / "other.toml").write_text(text)
    for name, bars in zip(("BTC", "ETH"), walks("BE", 1_600), strict=True):
        file = written(made, replace(bars, history=replace(bars.history, asset=name)))
        duckdb.sql(f"COPY (FROM '{made / file}') TO '{made / name}.parquet'")
    for needed in (
        "keys create",
        "snapshot create",
        "publish",
        "lake publish",
        "lake join",
        "backup 2026-11-28T03-10-00Z",
    ):
        said(made, needed)
    return made


def said(folder: Path, command: str, codes: frozenset[int] = frozenset({0})) -> str:
    done = crossmargin(folder, *shlex.split(command))
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def filled(folder: Path, command: str, hook: str) -> list[str]:
    """The words of a command, with what only this store knows."""
    if "{webhook}" in command:  # another test may have removed the last one
        said(folder, f"webhooks add {hook}")
    webhooks = json.loads(said(folder, "webhooks list --json"))["webhooks"] if "{webhook}" in command else []
    digest = json.loads(said(folder, "health acme --json"))["input_digest"] if "{digest}" in command else ""
    named = {"hook": hook, "digest": digest, "webhook": webhooks[-1]["id"] if webhooks else ""}
    return [word.format(**named) if word.startswith("{") else word for word in shlex.split(command)]


@pytest.mark.parametrize("shown", [*RUN, *ALSO_RUN])
def test_a_command_works_as_it_is_shown(folder: Path, hook: str, shown: str) -> None:
    command = RUN.get(shown, AS_WRITTEN)
    program, *words = filled(folder, shown if command == AS_WRITTEN else command, hook)

    done = crossmargin(folder, *words)

    assert program == "crossmargin"
    assert done.returncode in ENDS_WITH.get(shown, {0}), done.stdout + done.stderr
    assert done.stdout


def test_what_is_published_is_read_by_duckdb(folder: Path) -> None:
    """`duckdb -readonly current/crossmargin.duckdb` opens this very file."""
    with duckdb.connect(str(folder / "published/current/crossmargin.duckdb"), read_only=True) as con:
        con.execute(f"SET file_search_path = '{folder / 'published'}'")
        assert con.sql("SELECT count(*) FROM public.dim_chain").fetchall() == [(2,)]


def test_the_setting_up_under_systemd(checkout: Path, tmp_path: Path) -> None:
    """The lines of docs/operations.md that need no network and not this machine's own folders, in another root."""
    page = (checkout / "docs/operations.md").read_text(encoding="utf-8")
    (block,) = (fence[3] for fence in FENCE.finditer(page) if "systemctl enable" in fence[3])
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for line in block.splitlines():
        words = shlex.split(line.replace("/etc/", f"{tmp_path}/etc/"))
        if words[0].endswith("/crossmargin"):
            said(tmp_path, shlex.join(words[1:]))
        elif words[0] in {"install", "cp"}:
            found = [
                path for word in words for path in (sorted(map(str, checkout.glob(word))) if "*" in word else [word])
            ]
            subprocess.run(found, cwd=checkout, check=True)

    checked = crossmargin(
        tmp_path,
        "--config",
        "etc/crossmargin/crossmargin.toml",
        "check",
        variables={"BASE_RPC_URL": "https://node.example"},
    )
    assert checked.returncode == 0, checked.stderr
    assert {path.name for path in (tmp_path / "etc/systemd/system").iterdir()} >= {
        "crossmargin.service",
        "crossmargin-backup.timer",
    }


def test_the_benchmark_of_a_sync_says_what_it_takes(checkout: Path) -> None:
    done = subprocess.run(
        [str(checkout / ".venv/bin/python"), "-m", "bench.sync", "--help"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
