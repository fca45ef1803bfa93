"""What the pages of the service are made of is what its makers published."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from crossmargin import server

VENDORED = Path(server.__file__).parent / "assets" / "swagger-ui"


def test_vendored_files_have_the_hashes_that_stand_beside_them() -> None:
    listed = dict(line.split()[::-1] for line in (VENDORED / "SHA256SUMS").read_text().splitlines())

    found = {path.name.removesuffix(".gz"): hashlib.sha256(_content(path)).hexdigest() for path in _files()}

    assert found == listed
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= listed.keys()


def _files() -> list[Path]:
    return [path for path in VENDORED.iterdir() if path.name not in {"SHA256SUMS", "README.md"}]


def _content(path: Path) -> bytes:
    body = path.read_bytes()
    return gzip.decompress(body) if path.suffix == ".gz" else body
