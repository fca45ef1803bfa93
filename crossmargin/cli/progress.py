"""Progress on stderr: bars where a person watches, a line every few seconds elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from chains.errors import ChainError
from chains.ports import Head
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from indexer.loop import Listener, Progress

LINE_EVERY_S = 3.0
TELLING = 0.01
"""The share that must be done, or `LINE_EVERY_S` be over, before the rest can be told from it."""


@dataclass(slots=True)
class Pace:
    """How fast a chain comes in; times are of a monotonic clock."""

    first: int
    began: float
    rows: int = 0
    spoke: float = field(default=float("-inf"))

    def rate(self, indexed: int, now: float) -> float:
        """Blocks a second since the first batch began."""
        return (indexed - self.first + 1) / max(now - self.began, 1e-3)

    def line(self, progress: Progress, now: float) -> str:
        whole = progress.target - self.first + 1
        rate, done = self.rate(progress.indexed, now), (progress.indexed - self.first + 1) / whole
        height = figures.height(progress.chain_id)
        known = done >= TELLING or now - self.began >= LINE_EVERY_S
        left = str(timedelta(seconds=round((progress.target - progress.indexed) / rate))) if known else figures.NONE
        return (
            f"{height} {progress.indexed:,} of {progress.target:,}  {done:4.0%}  "
            f"{rate:,.0f} {height}s/s  {self.rows:,} rows  ETA {left}"
        )


@contextmanager
def progress_on(context: Context, names: Mapping[str, str]) -> Iterator[Listener]:
    """Give a listener that shows progress as the context asks for it; `names`: chain → what people call it."""
    console = context.stderr()
    scrub = context.redactor.scrub
    if context.quiet:
        yield Lines(lambda _: None, names)
    elif console.is_terminal:
        with bars(console) as shown:
            yield BarListener(shown, names, lambda text: console.print(scrub(text), soft_wrap=True))
    else:
        yield Lines(lambda text: console.print(scrub(text), soft_wrap=True), names)


def bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    )


class Lines:
    """Prints a line every few seconds, and at the end of each chain."""

    def __init__(self, say: Callable[[str], None], names: Mapping[str, str]) -> None:
        self._say = say
        self._names = names
        self._paces: dict[str, Pace] = {}

    def appended(self, progress: Progress) -> None:
        now = monotonic()
        pace = pace_of(self._paces, progress, now)
        if progress.indexed >= progress.target or now - pace.spoke >= LINE_EVERY_S:
            pace.spoke = now
            self._say(f"{self._names[progress.chain_id]}: {pace.line(progress, now)}")

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._say(f"{self._names[chain_id]}: {rewound(depth, to)}")

    def polled(self, chain_id: str, head: Head) -> None:
        """Nothing to show."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self._say(f"{self._names[chain_id]}: {error}; trying again in {retry_in:g} s")


class BarListener:
    """Moves one bar a chain."""

    def __init__(self, shown: Bars, names: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._bars = shown
        self._lines = Lines(say, names)
        self._names = names
        self._paces: dict[str, Pace] = {}
        self._tasks: dict[str, TaskID] = {}

    def appended(self, progress: Progress) -> None:
        now = monotonic()
        pace = pace_of(self._paces, progress, now)
        if progress.chain_id not in self._tasks:
            name = self._names[progress.chain_id]
            self._tasks[progress.chain_id] = self._bars.add_task(name, total=1, pace="")
        self._bars.update(
            self._tasks[progress.chain_id],
            total=progress.target - pace.first + 1,
            completed=progress.indexed - pace.first + 1,
            pace=f"{pace.rate(progress.indexed, now):,.0f} {figures.height(progress.chain_id)}s/s  {pace.rows:,} rows",
        )

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._lines.rewound(chain_id, depth, to)

    def polled(self, chain_id: str, head: Head) -> None:
        """Nothing to show."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self._lines.failed(chain_id, error, retry_in)


def pace_of(paces: dict[str, Pace], progress: Progress, now: float) -> Pace:
    """Count a batch; the first one of a chain began when its own time was not yet spent."""
    chain_id = progress.chain_id
    if chain_id not in paces:
        paces[chain_id] = Pace(first=progress.first, began=now - sum(progress.seconds.values()))
    paces[chain_id].rows += progress.rows
    return paces[chain_id]


def rewound(depth: int, to: int) -> str:
    return f"the chain changed: {depth} blocks forgotten, back at block {to}"
