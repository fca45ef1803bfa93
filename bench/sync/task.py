"""What every contender is given, and what a run of one came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

EVENTS = {
    "deposits": "Deposit(address indexed account, address indexed token, uint256 amount)",
    "withdrawals": "Withdraw(address indexed account, address indexed token, uint256 amount)",
}

Sums = dict[str, dict[str, int]]
"""Per token: deposits, deposited, withdrawals, withdrawn."""


class Unavailable(Exception):
    """A contender that cannot run here; the message says why."""


class Incomplete(Exception):
    """A run that stored something else than the chain holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A chain at an address: `contract` is the vault or the pool, `book` the folder with what an index of it must come to."""

    workload: str
    source: str
    url: str
    chain_id: int
    head: int
    logs: int
    contract: str
    start_block: int
    book: Path

    @property
    def logs_per_block(self) -> int:
        """The average, rounded up."""
        return -(-self.logs // max(self.head, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run took: wall-clock and CPU seconds of all its processes, the sum of their peak memory, and what it left on disk.

    `stages`: per cent of the time, as far as the indexer tells; stages that overlap share it.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    stored_mb: float = 0.0
    requests: int | None = None
    fetched_mb: float | None = None
    stages: dict[str, int] = field(default_factory=dict)


class Contender(Protocol):
    """Somebody who indexes a chain."""

    name: str
    stores: str
    """What is on disk afterwards, in a few words."""

    slow: bool
    """Whether fewer runs are made of it."""

    def install(self, cache: Path) -> None:
        """Make it ready, once; raises `Unavailable`."""
        ...

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        """Index the chain into an empty folder, on these cores, and check what was stored; raises `Incomplete`."""
        ...
