"""What no file of this project may hold: where a package was fetched from, or one machine's folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FORBIDDEN = {
    "an index option": r"--(?:(?:extra-)?index-url|find-links|registry)[= ]",
    "an address of a package": r"https?://\S+/(?:simple|packages)/|https?://\S+\.(?:whl|tgz)\b",
    "an address in a lock": r'"resolved":\s*"http|registry *= *"?https?:',
    "a folder of one machine": r"(?<![\w.])/(?:work|root|Users)/\w",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE",
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_no_file_holds(checkout: Path, tracked: frozenset[str], kind: str) -> None:
    pattern = re.compile(FORBIDDEN[kind])
    found = [path for path in sorted(tracked) if pattern.search(text_of(checkout / path))]

    assert found == []


def test_locks_pin_every_package_by_hash(checkout: Path, tracked: frozenset[str]) -> None:
    locks = [checkout / path for path in tracked if re.search(r"(?:^|/)requirements[a-z-]*\.lock$", path)]
    assert len(locks) >= 4
    for lock in locks:
        for requirement in re.split(r"\n(?=[a-z])", lock.read_text(encoding="utf-8")):
            assert re.match(r"[a-z0-9-]+==\S+( ; [^\n]+)? \\\n +--hash=sha256:[0-9a-f]{64}", requirement), requirement


def test_locks_of_npm_pin_every_package_by_hash(checkout: Path, tracked: frozenset[str]) -> None:
    locks = [checkout / path for path in tracked if path.endswith("package-lock.json")]
    assert len(locks) >= 2
    for lock in locks:
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        unpinned = [
            path for path, package in packages.items() if path and not package["integrity"].startswith("sha512-")
        ]
        assert unpinned == []


def text_of(path: Path) -> str:
    """The text of a file; nothing for what is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
