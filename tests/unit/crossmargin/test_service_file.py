"""The file beside a store tells its owner, and nobody else, which process serves it; a stale one tells nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.remote_desk import RemoteDesk
from crossmargin.service_file import Service, announced, path_of, read, running

SERVICE = Service(pid=os.getpid(), url="http://127.0.0.1:9", token="canary")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "x.duckdb"


def test_only_the_owner_can_read_it(store: Path) -> None:
    with announced(store, SERVICE):
        assert path_of(store).name == "x.duckdb.service.json"
        assert stat.S_IMODE(path_of(store).stat().st_mode) == 0o600
        assert running(store) == SERVICE


def test_it_goes_with_the_service_also_after_a_failure(store: Path) -> None:
    with pytest.raises(RuntimeError), announced(store, SERVICE):
        raise RuntimeError

    assert list(store.parent.iterdir()) == []


def test_a_file_that_another_service_wrote_meanwhile_stays(store: Path) -> None:
    other = Service(pid=os.getpid(), url="http://127.0.0.1:10", token="other")

    with announced(store, SERVICE):
        path_of(store).write_text(json.dumps({"pid": other.pid, "url": other.url, "token": other.token}))

    assert read(path_of(store)) == other


def test_a_process_that_is_gone_serves_nothing(store: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with announced(store, Service(pid=gone.pid, url="http://127.0.0.1:9", token="x")):
        assert running(store) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "url": "", "token": ""}', '{"pid": 0'])
def test_a_file_of_another_form_tells_nothing(store: Path, text: str) -> None:
    path_of(store).write_text(text)

    assert running(store) is None


def test_a_service_that_does_not_answer_is_not_there() -> None:
    assert not RemoteDesk(SERVICE).answers()


def test_the_token_is_never_shown() -> None:
    assert "canary" not in repr(SERVICE)
