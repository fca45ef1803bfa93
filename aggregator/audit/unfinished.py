"""Folders that are being written: they have another name until they are whole, and whoever died over one leaves it to be cleared away."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = re.compile(r"\.\d{8}T\d{6}Z(-[a-z]+)?-part-\w+")


@contextmanager
def unfinished(root: Path, name: str) -> Iterator[Path]:
    """Give an empty folder beside the one that is to be; what is still there at the end goes. Raises `OSError`.

    Folders of writers that were killed go first. A writer holds a lock on its own, which ends with it, so that no living one loses his.
    """
    for path in root.glob(".*-part-*"):
        if PARTIAL.fullmatch(path.name):
            _clear(path)
    partial = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}-part-"))
    handle = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield partial
    finally:
        try:
            shutil.rmtree(partial, ignore_errors=True)
        finally:
            os.close(handle)


def _clear(path: Path) -> None:
    """Remove a folder that nobody writes any more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return
    finally:
        os.close(handle)
