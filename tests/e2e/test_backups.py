"""A store is copied while it is served and grows, and the copy takes its place; what is not whole is refused."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crossmargin.exits import ExitCode
from tests.e2e.conftest import Indexed
from tests.support.forked import COMMAND
from tests.support.product import crossmargin, serving

STORE = Path("crossmargin.duckdb")
SMALL = 1 << 20
TABLES = "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"


def said(folder: Path, *arguments: str) -> Any:
    done = crossmargin(folder, *arguments, "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    return json.loads(done.stdout)


def rows(store: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with duckdb.connect(str(store), read_only=True) as con:
        names = [f"{schema}.{name}" for schema, name in con.execute(TABLES).fetchall()]
        return {name: con.sql(f"FROM {name}").order("ALL").fetchall() for name in names}


def test_a_served_store_is_copied_and_put_in_its_place_again(indexed: Indexed, tmp_path: Path) -> None:
    before = said(indexed.folder, "health", "stretched")
    with serving(indexed.folder):
        made = said(indexed.folder, "backup", "first")
    folder = Path(made["path"])
    stored = rows(indexed.folder / STORE)

    assert made["backup"] == "first"
    assert set(made["chains"]) == {"eip155:31337", "eip155:31338"}
    counted = {name: len(each) for name, each in stored.items()}
    told = {
        name for name in counted if name.startswith("main.event")
    }  # a service tells of versions of its book meanwhile
    assert made["tables"].items() >= {name: count for name, count in counted.items() if name not in told}.items()
    assert said(indexed.folder, "restore", "first", "--verify")["sha256"] == made["sha256"]

    kept = crossmargin(indexed.folder, "restore", "first")
    assert kept.returncode == ExitCode.FAILED
    assert "there is a store here; move it away first" in kept.stderr

    (indexed.folder / STORE).unlink()
    said(indexed.folder, "restore", str(folder))
    again = rows(indexed.folder / STORE)
    assert {name: each for name, each in again.items() if name not in told} == {
        name: each for name, each in stored.items() if name not in told
    }
    after = said(indexed.folder, "health", "stretched")
    assert after["input_digest"] == before["input_digest"]
    assert crossmargin(indexed.folder, "index").returncode == ExitCode.OK


def test_what_is_not_whole_is_named_and_not_put_anywhere(indexed: Indexed) -> None:
    folder = Path(said(indexed.folder, "backup", "whole")["path"])
    flipped = shutil.copytree(folder, folder.with_name("flipped"))
    with (flipped / "store.duckdb").open("r+b") as file:
        file.seek(100_000)
        byte = file.read(1)[0]
        file.seek(100_000)
        file.write(bytes([byte ^ 1]))
    fewer = shutil.copytree(folder, folder.with_name("fewer"))
    paper = json.loads((fewer / "backup.json").read_text())
    paper["tables"]["main.evm_log"] += 1
    (fewer / "backup.json").write_text(json.dumps(paper))
    (indexed.folder / STORE).unlink()

    for name, message in (
        ("flipped", "is not the file that backup.json names"),
        ("fewer", "other rows than backup.json"),
    ):
        done = crossmargin(indexed.folder, "restore", name)
        assert done.returncode == ExitCode.UNVERIFIED
        assert message in done.stderr
        assert not (indexed.folder / STORE).exists()
    assert (
        "there is no folder nothing, nor a backup of that name"
        in crossmargin(indexed.folder, "restore", "nothing").stderr
    )
    assert (
        "is no backup, for it has no backup.json" in crossmargin(indexed.folder, "restore", str(indexed.folder)).stderr
    )


def test_blocks_are_named_as_everywhere_and_the_older_way_is_still_taken(indexed: Indexed) -> None:
    """Backups of earlier versions name hashes in capitals, without 0x."""
    made = said(indexed.folder, "backup", "named")
    paper = Path(made["path"]) / "backup.json"
    named = json.loads(paper.read_text())
    heads = {chain["chain"]: chain["indexed"]["hash"] for chain in said(indexed.folder, "status")["chains"]}

    assert {chain: head["hash"] for chain, head in named["chains"].items()} == heads
    assert {chain: head["hash"] for chain, head in made["chains"].items()} == heads

    for head in named["chains"].values():
        head["hash"] = head["hash"].removeprefix("0x").upper()
    paper.write_text(json.dumps(named))
    (indexed.folder / STORE).unlink()
    assert said(indexed.folder, "restore", "named")["sha256"] == made["sha256"]
    assert {chain["chain"]: chain["indexed"]["hash"] for chain in said(indexed.folder, "status")["chains"]} == heads


def test_the_newest_stay_and_strange_names_are_refused(indexed: Indexed) -> None:
    said(indexed.folder, "backup", "one")
    last = said(indexed.folder, "backup", "two", "--keep", "1")

    assert last["removed"] == ["one"]
    assert [each.name for each in Path(last["path"]).parent.iterdir()] == ["two"]
    assert crossmargin(indexed.folder, "backup", "../out").returncode == ExitCode.USAGE
    again = crossmargin(indexed.folder, "backup", "two")
    assert again.returncode == ExitCode.FAILED
    assert "is there already" in again.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the size of files is limited by the system")
def test_a_full_disk_leaves_nothing_half(indexed: Indexed) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))

    command = [COMMAND, "backup", "late"]
    done = subprocess.run(
        command, cwd=indexed.folder, capture_output=True, text=True, check=False, preexec_fn=little_room, env=os.environ
    )

    assert done.returncode == ExitCode.FAILED, done.stdout
    assert "cannot be backed up" in done.stderr
    assert list((indexed.folder / "backups").iterdir()) == []
    assert said(indexed.folder, "backup", "late")["backup"] == "late"


def test_what_a_killed_backup_left_goes_with_the_next_one(indexed: Indexed) -> None:
    folder = indexed.folder / "backups"
    with subprocess.Popen(["true"]) as ended:
        pass
    left, running = folder / f".old.{ended.pid}", folder / f".other.{os.getpid()}"
    strange, named = folder / f".mine.{ended.pid}", folder / ".profile.d"
    for path, name in (
        (left, "store.duckdb"),
        (running, "store.duckdb"),
        (strange, "notes.txt"),
        (named, "store.duckdb"),
    ):
        path.mkdir(parents=True)
        (path / name).write_text("half")

    crossmargin(indexed.folder, "backup", "next")

    assert (folder / "next").is_dir()
    assert (left.exists(), running.exists(), strange.exists(), named.exists()) == (False, True, True, True)
