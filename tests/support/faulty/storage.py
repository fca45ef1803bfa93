"""Storage that refuses, tears or loses what is written to it: a folder behind Arrow's own file system interface, with seeded faults."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

KINDS = ("refused", "torn", "lost", "late", "moved away")


class FaultyStorage(pafs.FileSystemHandler):  # type: ignore[misc]
    """Every write and move goes wrong with a chance `rate`, of one seed always in the same way; reading tells what is there.

    *refused*: an error, and nothing is written. *torn*: a first part is written, with an error or without. *lost*: nothing is written, and
    no error. *late*: all is written, and an error is told. *moved away*: a move that leaves neither name.
    """

    def __init__(self, seed: int, *, rate: float) -> None:
        self._disk = pafs.LocalFileSystem()
        self._chance = random.Random(seed)
        self.rate = rate
        self.faults: list[str] = []

    def as_filesystem(self) -> pafs.FileSystem:
        return pafs.PyFileSystem(self)

    def fault(self, kinds: Sequence[str]) -> str | None:
        if self._chance.random() >= self.rate:
            return None
        self.faults.append(self._chance.choice(kinds))
        return self.faults[-1]

    def written(self, path: str, said: bytes) -> None:
        kind = self.fault(KINDS[:4])
        if kind == "refused":
            raise OSError("no space left")
        if kind != "lost":
            cut = self._chance.randrange(len(said)) if kind == "torn" and said else len(said)
            Path(path).write_bytes(said[:cut])
        if kind == "late" or (kind == "torn" and self._chance.random() < 0.5):
            raise OSError("connection reset")

    def get_type_name(self) -> str:
        return "faulty"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> Any:
        return self._disk.get_file_info(paths)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> Any:
        return self._disk.get_file_info(selector)

    def create_dir(self, path: str, recursive: bool) -> None:  # noqa: FBT001 - Arrow's own signature
        self._disk.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._disk.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - ditto
        self._disk.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self._disk.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        kind = self.fault(("refused", "lost", "late", "moved away"))
        if kind == "refused":
            raise OSError("no space left")
        if kind == "moved away":
            Path(src).unlink()
            Path(dest).unlink(missing_ok=True)
            return
        if kind != "lost":
            self._disk.move(src, dest)
        if kind == "late":
            raise OSError("connection reset")

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def open_input_stream(self, path: str) -> Any:
        return pa.PythonFile(Path(path).open("rb"), mode="r")

    def open_input_file(self, path: str) -> Any:
        return pa.PythonFile(Path(path).open("rb"), mode="r")

    def open_output_stream(self, path: str, metadata: object) -> Any:
        del metadata
        return pa.PythonFile(_Written(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: object) -> Any:
        raise NotImplementedError


class _Written(io.BytesIO):
    """What is written is there when it is closed."""

    def __init__(self, storage: FaultyStorage, path: str) -> None:
        super().__init__()
        self._storage = storage
        self._path = path

    def close(self) -> None:
        if not self.closed:
            said = self.getvalue()
            super().close()
            self._storage.written(self._path, said)
