"""A generated chain as files: log answers rendered in advance, so that serving them costs one copy.

`logs.json` holds `,{log},{log}…`: any span of blocks is one slice of it. `offsets.npy` tells where each log begins, `kinds.npy` which
(contract, event) it is, `first_log.npy` the first log of each block, `txs.npy` how many transactions a block has. `meta.json` holds the
rest, and is written last. Hashes are made of a number and come apart into it again, so that none has to be kept.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

GENESIS_TIME = 1_735_689_600
BLOCK_SECONDS = 12
TAIL = 64
"""Empty blocks at the end of every chain, so that every log is final for everybody."""

FORMAT = 4
"""Goes up when the files of before cannot be read any more."""

BLOCK, TX = b"block", b"tx"
TXS_A_BLOCK = 1 << 20
_ODD = 0x9E3779B97F4A7C15
_UNDO = pow(_ODD, -1, 1 << 64)


class Log(NamedTuple):
    """One log to render: `topics` after the first, `data` in hex without 0x, `tx` within its block."""

    kind: int
    topics: tuple[str, ...]
    data: str
    tx: int


class Kind(NamedTuple):
    """What emitted a log, and its first topic, both as 0x… in lower case."""

    address: str
    topic0: str


def unique(tag: bytes, number: int) -> bytes:
    """Make 32 bytes that look random, are unique, and tell their number."""
    noise = hashlib.blake2b(number.to_bytes(8), key=tag, digest_size=24).digest()
    return noise + (number * _ODD % (1 << 64)).to_bytes(8)


def number_of(made: bytes) -> int:
    """Return the number that `unique` was given."""
    return int.from_bytes(made[24:]) * _UNDO % (1 << 64)


def block_hash(number: int) -> str:
    return "0x" + unique(BLOCK, number).hex() if number >= 0 else "0x" + "00" * 32


def tx_hash(block: int, tx: int) -> str:
    return "0x" + unique(TX, block * TXS_A_BLOCK + tx).hex()


def place_of_tx(hashed: str) -> tuple[int, int]:
    """Return block and index of a transaction."""
    return divmod(number_of(bytes.fromhex(hashed[2:])), TXS_A_BLOCK)


def time_of(number: int) -> int:
    return GENESIS_TIME + number * BLOCK_SECONDS


def address(*names: object) -> str:
    """Make an address of names: the same names give the same one."""
    return "0x" + hashlib.blake2b(repr(names).encode(), digest_size=20).hexdigest()


def word(value: int) -> str:
    """Write an integer as an EVM word in hex, negative ones in two's complement."""
    return f"{value % (1 << 256):064x}"


def padded(account: str) -> str:
    """Write an address as a topic, in hex without 0x."""
    return account[2:].rjust(64, "0")


class Writer:
    """Writes a chain block by block; what stands for a chain is only there once it is whole."""

    def __init__(self, folder: Path, *, chain_id: int) -> None:
        self.folder = folder
        self.chain_id = chain_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)
        self._logs = (folder / "logs.json").open("wb")
        self._kinds: dict[Kind, int] = {}
        self._heads: list[str] = []
        self._sizes: list[np.ndarray[Any, Any]] = []
        self._kind_of: list[np.ndarray[Any, Any]] = []
        self._first: list[int] = [0]
        self._txs: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._logs.close()

    @property
    def blocks(self) -> int:
        """How many blocks there are; the next one's number."""
        return len(self._txs)

    @property
    def logs(self) -> int:
        """How many logs there are."""
        return self._first[-1]

    def kind(self, contract: str, topic0: str) -> int:
        """Number a (contract, event)."""
        key = Kind(contract, topic0)
        if key not in self._kinds:
            self._kinds[key] = len(self._kinds)
            self._heads.append(f',{{"address":"{contract}","topics":["{topic0}"')
        return self._kinds[key]

    def block(self, logs: Sequence[Log], *, txs: int) -> None:
        """Add a block of so many transactions."""
        number = self.blocks
        place = f'","blockNumber":"{number:#x}","transactionHash":"'
        block = f'","blockHash":"{block_hash(number)}","logIndex":"0x'
        hashes = [tx_hash(number, tx) + f'","transactionIndex":"{tx:#x}' + block for tx in range(txs)]
        heads = self._heads
        texts = [
            f'{heads[kind]}{_written(topics)}],"data":"0x{data}{place}{hashes[tx]}{index:x}","removed":false}}'
            for index, (kind, topics, data, tx) in enumerate(logs)
        ]
        self._logs.write("".join(texts).encode())
        self._sizes.append(np.array([len(text) for text in texts], np.uint64))
        self._kind_of.append(np.array([log.kind for log in logs], np.uint16))
        self._first.append(self._first[-1] + len(logs))
        self._txs.append(txs)

    def finish(self, facts: Mapping[str, object], calls: Mapping[str, object], views: Mapping[str, object]) -> None:
        """Write everything else; `calls` are answers that never change, `views` the columns of `views.npy`."""
        self._logs.close()
        sizes = np.concatenate([np.zeros(1, np.uint64), *self._sizes])
        np.save(self.folder / "offsets.npy", np.cumsum(sizes, dtype=np.uint64))
        np.save(self.folder / "kinds.npy", np.concatenate(self._kind_of))
        np.save(self.folder / "first_log.npy", np.array(self._first, np.int64))
        np.save(self.folder / "txs.npy", np.array(self._txs, np.int32))
        meta = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "blocks": self.blocks,
            "logs": self.logs,
            "kinds": [list(kind) for kind in self._kinds],
            "calls": dict(calls),
            "views": dict(views),
            **facts,
        }
        (self.folder / "meta.json").write_text(json.dumps(meta))


def _written(topics: Sequence[str]) -> str:
    return "".join([f',"0x{topic}"' for topic in topics])


class Recorded:
    """A generated chain, opened to be served or checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        self.kinds = np.load(folder / "kinds.npy", mmap_mode="r")
        self.first_log = np.load(folder / "first_log.npy")
        self.txs = np.load(folder / "txs.npy")
        self.file = (folder / "logs.json").open("rb")
        self.logs = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        views = folder / "views.npy"
        self.views = np.load(views, mmap_mode="r") if views.exists() else None

    @property
    def head(self) -> int:
        """The newest block."""
        return int(self.meta["blocks"]) - 1


def is_whole(folder: Path) -> bool:
    """Tell whether a chain of this format was written to its end."""
    meta = folder / "meta.json"
    return meta.exists() and json.loads(meta.read_text())["format"] == FORMAT
