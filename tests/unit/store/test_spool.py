"""Answers on their way into the store: kept whatever ends the process, entered once, and never in anybody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from indexer.store import Store, StoreError
from indexer.store.ledger import Answer
from indexer.store.spool import HEAD

KEPT = """
import os, signal, sys
from indexer.store import Store
from indexer.store.ledger import Answer
store = Store.open(sys.argv[1])
for number in range(int(sys.argv[2])):
    answer = Answer(account_id="acme", served_at=number, digest=f"d{number}", document=f"[{number}]")
    store.save_sent({f"d{number}": ("acme", str(number))}, [answer])
os.kill(os.getpid(), signal.SIGKILL)
"""
ANSWERS = "SELECT input_digest, document FROM fct_health_answer ORDER BY served_at"


def killed_after(path: Path, many: int) -> None:
    """Keep so many answers in a process that is killed at once."""
    ended = subprocess.run([sys.executable, "-c", KEPT, str(path), str(many)], check=False)
    assert ended.returncode == -signal.SIGKILL


def answer(account: str, at: int, digest: str) -> Answer:
    return Answer(account_id=account, served_at=at, digest=digest, document="{}")


def answered(store: Store) -> list[tuple[object, ...]]:
    return store.query(ANSWERS, timeout_s=10, max_rows=100, public=True).rows


def files_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.sent*"))


def test_what_was_kept_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    killed_after(path, 3)
    with Store.open(path) as store:
        assert [store.load_input(f"d{number}") for number in range(4)] == ["0", "1", "2", None]
        assert answered(store) == [("d0", "[0]"), ("d1", "[1]"), ("d2", "[2]")]
    assert files_of(path) == []


def test_who_may_only_read_knows_it_too_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    killed_after(path, 2)
    left = [file.read_bytes() for file in files_of(path)]
    with Store.open(path, read_only=True) as store:
        assert store.load_input("d1") == "1"
        with pytest.raises(StoreError, match="reading only"):
            store.save_sent({"d9": ("acme", "9")}, ())
        assert store.query("SELECT 1", timeout_s=10, max_rows=1, public=True).rows == [(1,)]
    assert [file.read_bytes() for file in files_of(path)] == left


def test_a_torn_end_costs_nothing_that_was_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    killed_after(path, 3)
    (file,) = files_of(path)
    whole = file.read_bytes()
    ends, at = [], 0
    while length := int.from_bytes(whole[at : at + 4], "little"):
        at += HEAD + length
        ends.append(at)
    assert len(ends) == 3
    for cut in range(0, ends[-1] + 1, 5):
        file.write_bytes(whole[:cut])
        with Store.open(path, read_only=True) as store:
            kept = [store.load_input(f"d{number}") is not None for number in range(3)]
        assert kept == [cut >= end for end in ends], cut
    file.write_bytes(whole[: ends[1] - 1] + b"\xff" + whole[ends[1] :])
    with Store.open(path, read_only=True) as store:
        assert [store.load_input(f"d{number}") for number in range(3)] == ["0", None, None]


def test_what_is_entered_already_is_not_entered_again(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    killed_after(path, 3)
    left = {file: file.read_bytes() for file in files_of(path)}
    for _ in range(2):
        with Store.open(path) as store:
            assert [digest for digest, _ in answered(store)] == ["d0", "d1", "d2"]
        for file, data in left.items():
            file.write_bytes(data)


def test_nobody_waits_for_a_step_and_sql_sees_what_was_kept(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.duckdb") as store:
        with store.refilling() as con:
            con.execute("CREATE TABLE held AS SELECT 1 AS one")
            keeping = Thread(target=store.save_sent, args=({"d": ("acme", "x")}, [answer("acme", 1, "d")]))
            keeping.start()
            keeping.join(30)
            assert not keeping.is_alive()
            assert store.load_input("d") == "x"
            con.execute("DROP TABLE held")
        assert answered(store) == [("d", "{}")]


def test_answers_of_one_account_keep_their_order(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.duckdb") as store:
        for at, digest in enumerate(["a", "b", "a", "a"]):
            store.save_sent({}, [answer("acme", at, digest), answer("other", at, "same")])
        digests = [digest for digest, _ in answered(store)]
    assert sorted(map(str, digests)) == ["a", "a", "b", "same"]


def test_a_full_disk_is_told_and_loses_nothing_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.save_sent({"before": ("acme", "1")}, [])

        def refused(*_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(os, "posix_fallocate", refused)
            with pytest.raises(StoreError, match=r"answers cannot be kept .*No space left"):
                store.save_sent({"during": ("acme", "x" * (2 << 20))}, [])
        store.save_sent({"after": ("acme", "2")}, [])
        assert [store.load_input(name) for name in ("before", "during", "after")] == ["1", None, "2"]
    with Store.open(path) as store:
        assert [store.load_input(name) for name in ("before", "during", "after")] == ["1", None, "2"]


FULL = """
import resource, sys
from pathlib import Path
from indexer.store import Store, StoreError
from tests.unit.store.test_spool import answered
path = Path(sys.argv[1])
with Store.open(path) as store:
    wal = path.with_name(f"{path.name}.wal")
    with store.refilling() as con:
        store.save_sent({"d": ("acme", "x" * 200_000)}, [])
        size = wal.stat().st_size if wal.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1_000, resource.RLIM_INFINITY))
    try:
        answered(store)
    except StoreError as error:
        print(error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(answered(store) is not None, store.load_input("d") is not None, flush=True)
"""


def test_sql_says_what_waits_on_a_full_disk_and_is_answered_once_there_is_room(tmp_path: Path, checkout: Path) -> None:
    path = tmp_path / "s.duckdb"

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, cwd=checkout, check=False
    )

    refused, *after = done.stdout.splitlines()
    assert refused.startswith(
        f"{path}: is not read, for it would lack answers that were given (1, safe in {path}.sent*): {path}: cannot be written: "
    )
    assert refused.endswith("; free disk space: they are entered by themselves then, and this can be asked again")
    assert after == ["True True"]


def test_a_copy_holds_what_was_kept_before_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.duckdb", allowed=[tmp_path]) as store:
        store.save_sent({"d": ("acme", "x")}, [])
        made = store.back_up(tmp_path / "copy", 1)
    assert made.tables["main.health_input"] == 1
