"""Tables of runs: medians, spread, and ratios of the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from bench.sync.task import Run

OURS = "crossmargin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of one contender; `load` is the machine's load average before it."""

    workload: str
    source: str
    logs: int
    cores: int
    contender: str
    stores: str
    turn: int
    load: float
    run: Run

    @property
    def rate(self) -> float:
        """Logs a second."""
        return self.logs / self.run.seconds


def print_table(results: Sequence[Result]) -> None:
    """Print one chain's results, ours first; ratios are medians over rounds in which both ran."""
    first = results[0]
    loads = [result.load for result in results]
    print(
        f"\n{first.workload}, {first.logs:,} logs, {first.source}, {first.cores} core{'s' * (first.cores > 1)}"
        f" (load average {min(loads):.1f} to {max(loads):.1f})\n"
    )
    print(
        "| indexer | runs | events/s (median, min–max) | CPU µs/event | peak MB | disk MB | requests | MB read | ours is |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in dict.fromkeys(result.contender for result in results):
        print(row([result for result in results if result.contender == name], results))
    if stages := next((result.run.stages for result in reversed(results) if result.run.stages), {}):
        print(
            f"\n{OURS}, shares of its time at last: {', '.join(f'{name} {share} %' for name, share in stages.items())}"
        )


def print_sustained(results: Sequence[Result]) -> None:
    """Print what each indexer does once it runs: the logs by which a larger chain is longer, over what it took longer.

    On a machine that is busy with other things too, CPU time says more than the clock.
    """
    sizes: dict[tuple[str, str, int, str], dict[int, list[Run]]] = {}
    for result in results:
        place = (result.workload, result.source, result.cores, result.contender)
        sizes.setdefault(place, {}).setdefault(result.logs, []).append(result.run)
    lines = [
        f"- {workload}, {source}, {cores} cores, {contender}, {small:,} to {large:,} logs: {told}"
        for (workload, source, cores, contender), runs in sizes.items()
        for small, large in pairwise(sorted(runs))
        for told in [sustained(runs[small], runs[large], large - small)]
    ]
    if lines:
        print("\nSustained: the difference between two sizes, so without the start of the program\n", *lines, sep="\n")


def sustained(small: Sequence[Run], large: Sequence[Run], logs: int) -> str:
    longer = median(run.seconds for run in large) - median(run.seconds for run in small)
    cpu_s = median(run.cpu_s for run in large) - median(run.cpu_s for run in small)
    return f"{logs / longer:,.0f}/s, {cpu_s / logs * 1e6:.1f} µs of CPU an event"


def row(mine: Sequence[Result], everybody: Sequence[Result]) -> str:
    rates = [result.rate for result in mine]
    runs = [result.run for result in mine]
    last = runs[-1]
    cells = [
        mine[0].contender,
        str(len(mine)),
        f"{median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
        f"{median(run.cpu_s for run in runs) / mine[0].logs * 1e6:.1f}",
        f"{max(run.peak_mb for run in runs):,.0f}",
        f"{last.stored_mb:,.1f}",
        "" if last.requests is None else f"{last.requests:,}",
        "" if last.fetched_mb is None else f"{last.fetched_mb:,.0f}",
        ratio(mine, everybody),
    ]
    return f"| {' | '.join(cells)} |"


def ratio(theirs: Sequence[Result], everybody: Sequence[Result]) -> str:
    """Return our rate over theirs, of the same rounds."""
    if theirs[0].contender == OURS:
        return ""
    ours = {result.turn: result.rate for result in everybody if result.contender == OURS}
    return f"{median(ours[result.turn] / result.rate for result in theirs):.2f}×"
