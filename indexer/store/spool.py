"""Answers on their way into the store: on disk before they are sent, and entered soon after by a thread of their own.

To enter something, DuckDB waits for whatever is being committed, up to seconds with a large batch; nobody who asked waits for that.
Two files beside the store's take turns: one is written to while what stands in the other is entered, which empties it.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, RLock, Thread

import msgspec

from indexer.store.errors import StoreBroken, StoreError
from indexer.store.ledger import Sent

GATHERED_S = 0.2
"""How long what comes is gathered before it is entered."""
AGAIN_S = 5.0
"""After how long it is tried again where it could not be entered."""
MOST_WAITING = 64 << 20
"""Bytes; with more of them whoever adds waits until all is entered."""
PIECE = 1 << 20
"""The files grow by so many bytes: where their length stays as it is, a write lasts a tenth as long."""
OWNER_ONLY = 0o600
HEAD = 8
"""Bytes before each frame: its length and its checksum."""


Enter = Callable[[Sequence[Sent]], None]
"""Enters what was sent, all of it or nothing, and nothing twice; raises `StoreError`."""

_sync = getattr(os, "fdatasync", os.fsync)


class Spool:
    """What was sent and is not entered yet. Every method may be called from any thread."""

    def __init__(self, path: Path, enter: Enter) -> None:
        self._path = path
        self._files = [_File(path.with_name(f"{path.name}.sent{number}")) for number in (0, 1)]
        self._enter = enter
        self._changed = Condition()
        self._entering = RLock()
        self._waiting: list[Sent] = []
        self._taken: list[Sent] = []
        self._thread: Thread | None = None
        self._closed = False
        self._writes = True

    @property
    def waiting(self) -> int:
        """How many were kept and are not entered."""
        with self._changed:
            return len(self._taken) + len(self._waiting)

    @property
    def name(self) -> str:
        """What its files are called, all but the number at their end."""
        return f"{self._path}.sent*"

    def remember(self) -> None:
        """Know what a process left behind that ended before all was entered, and leave it there; raises `StoreError`."""
        self._writes = False
        self._taken = self._left()

    def recover(self) -> None:
        """Enter what was left behind; raises `StoreError`."""
        self._taken = self._left()
        self.settle()
        for file in self._files:
            file.remove()

    def add(self, sent: Sent) -> None:
        """Keep it on disk and in mind; raises `StoreError`, and then nothing is kept."""
        if self._files[0].end > MOST_WAITING:
            self.settle()
        with self._changed:
            if self._closed or not self._writes:
                raise StoreError(f"{self._path}: cannot be written, for it is closed, or open for reading only")
            self._files[0].append(sent)
            self._waiting.append(sent)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="answers into the store", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def document(self, digest: str) -> str | None:
        """Return the document under a digest that is not entered yet."""
        with self._changed:
            found = (sent.inputs.get(digest) for sent in (*self._taken, *self._waiting))
            return next((document for _, document in filter(None, found)), None)

    def settle(self) -> None:
        """Enter what waits now; raises `StoreError`, and then it goes on waiting."""
        if not self._writes:
            return
        with self._entering:
            self._settle_taken()
            with self._changed:
                self._taken, self._waiting = self._waiting, []
                self._files.reverse()
            self._settle_taken()

    def _left(self) -> list[Sent]:
        return [sent for file in self._files for sent in file.frames()]

    def _settle_taken(self) -> None:
        if self._taken:
            self._enter(self._taken)
            with self._changed:
                self._taken = []
                self._files[1].empty()

    def close(self) -> None:
        """Enter what waits, and end; what cannot be entered stays on disk for whoever opens the store next."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        with suppress(StoreError):
            self.settle()
        for file in self._files:
            file.close(remove=self._writes and not (self._taken or self._waiting))

    def _run(self) -> None:
        pause = GATHERED_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._taken or self._waiting)
                self._changed.wait_for(lambda: self._closed, pause)
                if self._closed:
                    return
            try:
                self.settle()
                pause = GATHERED_S
            except StoreError:
                pause = AGAIN_S


class _File:
    """Frames one behind the other up to `end`; what stands behind the last whole one counts for nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: io.FileIO | None = None
        self._room = 0
        self.end = 0

    def append(self, sent: Sent) -> None:
        """Write a frame that stays whatever happens to this machine; raises `StoreError`."""
        body = msgspec.msgpack.encode(sent)
        frame = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body
        try:
            file = self._opened()
            self._make_room(file, self.end + len(frame))
            file.seek(self.end)
            if file.write(frame) != len(frame):
                raise OSError("only a part of it could be written")  # noqa: TRY301 - as other faults of the disk
            _sync(file.fileno())
        except OSError as error:
            what = f"{self._path}: answers cannot be kept ({error.strerror or error}); is the disk full?"
            raise StoreError(what) from error
        self.end += len(frame)

    def frames(self) -> Iterator[Sent]:
        """Read the whole frames of a file that another process left."""
        try:
            data = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            raise StoreBroken(f"{self._path}: cannot be read ({error.strerror})") from error
        at = 0
        while length := int.from_bytes(data[at : at + 4], "little"):
            body = data[at + HEAD : at + HEAD + length]
            if len(body) != length or zlib.crc32(body) != int.from_bytes(data[at + 4 : at + HEAD], "little"):
                return
            yield msgspec.msgpack.decode(body, type=Sent)
            at += HEAD + length

    def empty(self) -> None:
        """Let nothing of it count any more: a file that cannot be emptied is entered once more, which changes nothing."""
        if self._handle is not None:
            with suppress(OSError):
                self._handle.truncate(0)
        self.end = self._room = 0

    def close(self, *, remove: bool) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        if remove:
            self.remove()

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _make_room(self, file: io.FileIO, end: int) -> None:
        if end > self._room and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, end + PIECE)
            self._room = end + PIECE

    def _opened(self) -> io.FileIO:
        if self._handle is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
            self._handle = io.FileIO(descriptor, "r+")
        return self._handle
