"""Shared storage: a folder, or a bucket of an S3-compatible service, through Arrow's file systems.

Nothing is believed to be there because it was written: what was put is read again, whole, before anybody names it. Names are made of
digests, so that a second writer of the same name writes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from indexer.lake.sets import LakeBroken, LakeFile, read_bytes
from indexer.store.errors import StoreError


class LakeRefused(StoreError):
    """The lake cannot be written to, or what was written is not there."""


class Lake:
    """A lake at `root` of a file system; `name` is what messages call it."""

    def __init__(self, filesystem: pafs.FileSystem, root: str, name: str) -> None:
        self.filesystem = filesystem
        self.root = root
        self.name = name

    @classmethod
    def at(cls, url: str) -> Lake:
        """Open the lake at a folder, or at a URL such as s3://bucket/path?endpoint_override=…; raises `LakeBroken`.

        Keys of a bucket come from the environment, as every client of such services takes them.
        """
        if "://" not in url:
            return cls(pafs.LocalFileSystem(), str(Path(url).absolute()), url)
        shown = url.partition("?")[0]
        if "@" in shown:
            raise LakeBroken("the lake's address holds a key; give keys in the environment (AWS_ACCESS_KEY_ID, …)")
        try:
            filesystem, root = pafs.FileSystem.from_uri(url)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise LakeBroken(
                f"{shown}: no storage can be opened there ({type(error).__name__}); name a folder, or a bucket: s3://bucket/path"
            ) from error
        if not root.strip("/"):
            raise LakeBroken(f"{shown} names no bucket; name a folder, or a bucket: s3://bucket/path")
        return cls(filesystem, root.rstrip("/"), shown)

    def put(self, path: str, said: bytes) -> None:
        """Put bytes under a name that is made of them; raises `LakeRefused` unless they are then there."""
        if self.says(path) == said:
            return
        self._write(path, said)
        if self.says(path) != said:
            raise LakeRefused(f"{self.name}: {path} was written, and is not there as it was written; try again")

    def point(self, path: str, said: bytes) -> None:
        """Exchange what a name says, in one step where the storage has such a step; raises `LakeRefused`."""
        draft = f"{path}.{uuid4().hex}"
        try:
            self.put(draft, said)
            with self._writing(path):
                self.filesystem.move(self._full(draft), self._full(path))
        finally:
            with suppress(OSError, LakeBroken):
                self.filesystem.delete_file(self._full(draft))
        if self.says(path) != said:
            raise LakeRefused(f"{self.name}: {path} does not say what was written to it; try again")

    def says(self, path: str) -> bytes | None:
        """The bytes of a small file, `None` where there is none; raises `LakeBroken`."""
        return read_bytes(self.filesystem, self._full(path))

    def names(self, folder: str) -> list[str]:
        """The names of what lies in a folder, ascending; none where there is no folder. Raises `LakeBroken`."""
        selector = pafs.FileSelector(self._full(folder), allow_not_found=True)
        try:
            return sorted(found.base_name for found in self.filesystem.get_file_info(selector))
        except (OSError, pa.ArrowException) as error:
            raise LakeBroken(f"{self.name}: {folder} cannot be listed ({type(error).__name__})") from error

    def found(self, folder: str) -> list[tuple[str, int]]:
        """Every file below a folder, with when it was written in Unix seconds; raises `LakeBroken`."""
        selector = pafs.FileSelector(self._full(folder), recursive=True, allow_not_found=True)
        try:
            infos = self.filesystem.get_file_info(selector)
        except (OSError, pa.ArrowException) as error:
            raise LakeBroken(f"{self.name}: {folder} cannot be listed ({type(error).__name__})") from error
        files = [info for info in infos if info.type == pafs.FileType.File]
        return [(info.path.removeprefix(f"{self.root}/"), int(info.mtime.timestamp())) for info in files]

    def remove(self, path: str) -> None:
        """Remove a file, if it is there; raises `LakeRefused`."""
        with self._writing(path), suppress(FileNotFoundError):
            self.filesystem.delete_file(self._full(path))

    def missing(self, files: Iterable[LakeFile]) -> list[LakeFile]:
        """Those of some files that are not there, or are of another size; raises `LakeBroken`."""
        wanted = list(files)
        try:
            found = self.filesystem.get_file_info([self._full(file.path) for file in wanted])
        except (OSError, pa.ArrowException) as error:
            raise LakeBroken(f"{self.name}: its files cannot be looked at ({type(error).__name__})") from error
        return [file for file, info in zip(wanted, found, strict=True) if info.size != file.bytes]

    def content(self, file: LakeFile) -> bytes:
        """The bytes of a file, which are what was published; raises `LakeBroken`."""
        try:
            with self.filesystem.open_input_stream(self._full(file.path)) as stream:
                said = bytes(stream.read(file.bytes + 1))
        except (OSError, pa.ArrowException) as error:
            raise LakeBroken(f"{self.name}: {file.path} cannot be read ({type(error).__name__})") from error
        if hashlib.sha256(said).hexdigest() != file.sha256:
            raise LakeBroken(f"{self.name}: {file.path} is not what was published under this name")
        return said

    def rows(self, file: LakeFile) -> pa.Table:
        """The rows of a file, which is checked first; raises `LakeBroken`."""
        return pq.read_table(io.BytesIO(self.content(file)))

    def _write(self, path: str, said: bytes) -> None:
        with self._writing(path):
            self.filesystem.create_dir(str(PurePosixPath(self._full(path)).parent), recursive=True)
            with self.filesystem.open_output_stream(self._full(path)) as stream:
                stream.write(said)

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise LakeRefused(f"{self.name}: {path} cannot be written ({type(error).__name__}); try again") from error

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"
