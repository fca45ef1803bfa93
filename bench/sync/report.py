"""Tables of runs: medians, spread, and ratios of the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
