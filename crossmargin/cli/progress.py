"""Progress on stderr: bars where a person watches, a line every few seconds elsewhere, with -v a line for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from aggregator.told import Told, untold
from chains.errors import ChainError
from chains.ports import Head
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.pace import Pace
from crossmargin.traffic import Traffic
from indexer.loop import Listener, Progress

LINE_EVERY_S = 3.0
TELL_EVERY_S = 0.1

Say = Callable[[str], None]
Clock = Callable[[], float]
"""Seconds that never go back."""


@contextmanager
def progress_on(context: Context, names: Mapping[str, str], traffic: Traffic | None = None) -> Iterator[Listener]:
    """Give a listener that shows progress as the context asks for it.

    `names`: chain → what people call it; `traffic`: what nodes were asked for and gave.
    """
    console = context.stderr()
    scrub = context.redactor.scrub

    def say(text: str) -> None:
        console.print(scrub(text), soft_wrap=True)

    if context.quiet:
        yield Lines(lambda _: None, names)
    elif shows_bars(context, console):
        with bars(console) as shown:
            yield BarListener(shown, names, say, traffic, each=bool(context.verbosity))
    else:
        yield Lines(say, names, traffic, each=bool(context.verbosity))


def shows_bars(context: Context, console: Console) -> bool:
    """Whether somebody watches who asked for no document."""
    return console.is_terminal and not context.quiet and not context.json


@contextmanager
def counted_on(context: Context, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far some work is, where somebody watches; gives what is told of each part that is done.

    `total`: of how many parts, from which the time that is left follows; `None` where nobody can tell: then only that time passes.
    """
    console = context.stderr()
    if not shows_bars(context, console):
        yield lambda _: None
        return
    with parts(console) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.advance(task, done)


@contextmanager
def told_on(context: Context, what: str) -> Iterator[Told]:
    """Show how far work is that tells of itself, where somebody watches; until it tells anything, that time passes."""
    console = context.stderr()
    if not shows_bars(context, console):
        yield untold
        return
    with parts(console) as shown:
        yield PartListener(shown, what)


def parts(console: Console) -> Bars:
    """Bars of parts: how long it took, and, where it is known of how many, what is left."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TaskProgressColumn(),
        Left(),
        console=console,
        transient=True,
    )


class Left(TimeRemainingColumn):
    """The time that is left; nothing where nobody can tell."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else Text("ETA ").append_text(super().render(task))


class PartListener:
    """Moves one bar for each kind of work, and draws anew no more often than somebody can see."""

    def __init__(self, shown: Bars, first: str) -> None:
        self._bars = shown
        self._before: TaskID | None = shown.add_task(first, total=None)
        self._tasks: dict[str, TaskID] = {}
        self._told_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = monotonic()
        if 0 < done < total and now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        if self._before is not None:
            self._bars.update(self._before, visible=False)
            self._before = None
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        elif not done:
            self._bars.reset(self._tasks[what], total=total)
        self._bars.update(self._tasks[what], completed=done)


def bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}"),
        console=console,
        transient=False,
    )


class Lines:
    """Prints a line every few seconds and at the end of each chain; with `each`, one for every batch."""

    def __init__(
        self,
        say: Say,
        names: Mapping[str, str],
        traffic: Traffic | None = None,
        *,
        each: bool = False,
        clock: Clock = monotonic,
    ) -> None:
        self._say = say
        self._names = names
        self._traffic = traffic
        self._each = each
        self._clock = clock
        self._paces: dict[str, Pace] = {}
        self._spoke: dict[str, float] = {}

    def appended(self, progress: Progress) -> None:
        chain_id, now = progress.chain_id, self._clock()
        pace, stages = counted(self._paces, progress, now)
        due = progress.indexed >= progress.target or now - self._spoke.get(chain_id, float("-inf")) >= LINE_EVERY_S
        if self._each:
            self._tell(chain_id, batch(progress, stages), rest(progress, pace, self._traffic))
        elif due:
            self._spoke[chain_id] = now
            self._tell(chain_id, reached(progress), rest(progress, pace, self._traffic, shares(pace)))

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._tell(chain_id, rewound(depth, to))

    def polled(self, chain_id: str, head: Head) -> None:
        """Nothing to show."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self._tell(chain_id, f"{error}; trying again in {retry_in:g} s")

    def _tell(self, chain_id: str, *parts: str) -> None:
        self._say(f"{self._names[chain_id]}: {'  '.join(parts)}")


class BarListener:
    """Moves one bar a chain."""

    def __init__(self, shown: Bars, names: Mapping[str, str], say: Say, traffic: Traffic | None, *, each: bool) -> None:
        self._bars = shown
        self._lines = Lines(say, names, traffic, each=True)
        self._each = each
        self._names = names
        self._traffic = traffic
        self._paces: dict[str, Pace] = {}
        self._tasks: dict[str, TaskID] = {}

    def appended(self, progress: Progress) -> None:
        chain_id = progress.chain_id
        pace, _ = counted(self._paces, progress, monotonic())
        if chain_id not in self._tasks:
            self._tasks[chain_id] = self._bars.add_task(self._names[chain_id], total=1, pace="")
        self._bars.update(
            self._tasks[chain_id],
            total=progress.target - pace.first + 1,
            completed=progress.indexed - pace.first + 1,
            pace=rest(progress, pace, self._traffic),
        )
        if self._each:
            self._lines.appended(progress)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._lines.rewound(chain_id, depth, to)

    def polled(self, chain_id: str, head: Head) -> None:
        """Nothing to show."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self._lines.failed(chain_id, error, retry_in)


def counted(paces: dict[str, Pace], progress: Progress, now: float) -> tuple[Pace, dict[str, float]]:
    """Count a batch; the first one of a chain began when its own time was not yet spent."""
    chain_id = progress.chain_id
    if chain_id not in paces:
        paces[chain_id] = Pace(first=progress.first, began=now - sum(progress.seconds.values()))
    return paces[chain_id], paces[chain_id].add(progress, now)


def reached(progress: Progress) -> str:
    """Say where a chain is."""
    return f"{figures.height(progress.chain_id)} {progress.indexed:,} of {progress.target:,}"


def batch(progress: Progress, stages: Mapping[str, float]) -> str:
    """Say what one batch was and took."""
    height, record = figures.height(progress.chain_id), figures.record(progress.chain_id)
    times = "  ".join(f"{name} {seconds:.2f} s" for name, seconds in stages.items())
    return (
        f"{height}s {progress.first:,}–{progress.indexed:,} of {progress.target:,}"
        f"  {progress.records:,} {record}s  {progress.rows:,} rows  {times}"
    )


def rest(progress: Progress, pace: Pace, traffic: Traffic | None, stages: str = "") -> str:
    """Say how far a chain is, how fast it comes, what that took, and when it will be there."""
    height, record = figures.height(progress.chain_id), figures.record(progress.chain_id)
    blocks, records = pace.rates()
    left_s = pace.left_s(progress)
    parts = [
        f"{pace.done(progress):4.0%}",
        f"{blocks:,.0f} {height}s/s",
        f"{records:,.0f} {record}s/s",
        f"{pace.rows:,} rows",
        stages,
        "" if traffic is None else asked(traffic, progress.chain_id),
        f"ETA {figures.NONE if left_s is None else timedelta(seconds=round(left_s))}",
    ]
    return "  ".join(part for part in parts if part)


def shares(pace: Pace) -> str:
    """Say which stages took the time since the last line."""
    return " ".join(f"{name} {share:.0%}" for name, share in pace.spent().items())


def asked(traffic: Traffic, chain_id: str) -> str:
    """Say what nodes were asked for and gave."""
    requests, received = traffic.requests(chain_id), traffic.received(chain_id)
    return f"{requests:,} requests  {received / 1e6:,.1f} MB"


def rewound(depth: int, to: int) -> str:
    return f"the chain changed: {depth} blocks forgotten, back at block {to}"
