"""A chain read on the other side of two channels, by a thread of this process where a test makes the chain up."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any, cast

from chains.ports import Chain, Observer
from chains.rpc.observer import Unobserved
from indexer.remote.chain import Child, RemoteChain
from indexer.remote.child import Reading
from indexer.remote.readers import Channel


class Stand:
    """What a process is to its parent, over a thread."""

    pid = 0

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        return 0

    def kill(self) -> None:
        """A thread ends when its channels do."""


@asynccontextmanager
async def read_apart(chain: Chain, observer: Observer | None = None) -> AsyncIterator[RemoteChain]:
    """Give `chain` as it looks from the other side; it is made in another thread and lives there."""
    main, theirs = socket.socketpair()
    state, also_theirs = socket.socketpair()

    def read() -> None:
        with theirs, also_theirs:
            asyncio.run(Reading(theirs, Channel(also_theirs), chain).serve())

    thread = Thread(target=read)
    thread.start()
    process = cast("subprocess.Popen[bytes]", cast("Any", Stand(thread)))
    remote = RemoteChain(chain.spec, [], [], observer=observer)
    remote._child = Child(chain.spec.id, process, main, state, asyncio.get_running_loop(), observer or Unobserved())
    remote._child.attend()
    try:
        yield remote
    finally:
        await remote.aclose()
        await asyncio.to_thread(thread.join)
