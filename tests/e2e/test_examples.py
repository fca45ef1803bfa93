"""Every command and every `curl` line of the documents runs as it is written, on one store and the service over it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Indexed
from tests.support.recorded import CONFIGURATION, crossmargin, service

FENCE = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^(?:\$ )?(?:\S*/)?crossmargin (.*)$")
ADDRESS = "localhost:8080"

OURS = {"acme": "hedged"}
"""Names of the documents, and of the store that is asked here."""

ELSEWHERE = {
    "doctor": "measures nodes: tests/e2e/test_doctor.py",
    "index": "asks nodes: tests/e2e/test_commands.py",
    "run": "asks nodes: tests/e2e/test_service.py",
    "restore --verify 2026-11-28T03-10-00Z": "names a backup of its day: tests/e2e/test_backups.py",
}
"""What is run by other tests, since it needs what is not here."""


def examples() -> list[str]:
    """Every line that calls crossmargin or curl, of every document."""
    checkout = Path(__file__).parents[2]
    blocks = [
        block
        for path in (checkout / "README.md", *sorted((checkout / "docs").glob("*.md")))
        for block in FENCE.findall(path.read_text(encoding="utf-8"))
    ]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if CALL.match(line) or line.startswith("curl ")))


@pytest.fixture(scope="module")
def served(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("examples") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    path = folder / CONFIGURATION
    path.write_text(path.read_text() + "\n[sql]\nanonymous = true\n")
    with service(folder, "serve") as (url, _):
        published = crossmargin(folder, "publish")
        assert published.returncode == 0, published.stderr
        yield url, folder


def test_the_documents_have_examples_and_all_that_run_elsewhere_are_among_them() -> None:
    called = {" ".join(shlex.split(match[1], comments=True)) for line in examples() if (match := CALL.match(line))}

    assert len(examples()) >= 12
    assert set(ELSEWHERE) <= called


@pytest.mark.parametrize("line", [line for line in examples() if line.startswith("curl ")])
def test_an_example_of_a_request_is_answered(served: tuple[str, Path], line: str) -> None:
    url, folder = served
    words = [OURS.get(word, word) for word in shlex.split(renamed(line, url))]

    asked = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True, cwd=folder, check=False)

    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert asked.stdout != ""


@pytest.mark.parametrize("line", [line for line in examples() if CALL.match(line)])
def test_an_example_of_a_command_ends_well(served: tuple[str, Path], line: str, tmp_path: Path) -> None:
    _, folder = served
    match = CALL.match(line)
    assert match is not None
    words = [OURS.get(word, word) for word in shlex.split(match[1], comments=True)]
    if " ".join(words) in ELSEWHERE:
        return
    if words[0] == "init":
        end = words.index("--output") if "--output" in words else len(words)
        words = [*words[:end], "--output", str(tmp_path / "new.toml")]

    done = crossmargin(folder, *words)

    assert done.returncode == 0, done.stderr
    assert done.stdout != ""


def renamed(line: str, url: str) -> str:
    """A request of the documents, to the service and the accounts that are here."""
    line = line.replace(ADDRESS, url.removeprefix("http://"))
    for theirs, ours in OURS.items():
        line = re.sub(rf"\b{theirs}\b", ours, line)
    return line
