"""`python -m bench.sync`: index generated chains, ours and peers in turn, and print what each took."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

from bench.sync import sources
from bench.sync.machine import described
from bench.sync.measured import Failed
from bench.sync.ours import Crossmargin
from bench.sync.peers.contenders import all_peers
from bench.sync.report import OURS, Result, print_sustained, print_table
from bench.sync.task import Contender, Incomplete, Run, Task, Unavailable

CACHE = Path(__file__).parents[2] / ".bench"
SLOW_PAIRS = 2


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-sync ARGS=…", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "--quick", action="store_true", help="both workloads at 100k, cryo as the peer, one run: a minute"
    )
    parser.add_argument("--workloads", default="escrow,aave-3.5", help="escrow, aave-3.5, aave-3.0")
    parser.add_argument("--sizes", default="100k,1m", help="logs, as in 100k,1m,10m")
    parser.add_argument("--sources", default="recorded,anvil", help="recorded, anvil (escrow up to 100k alone)")
    parser.add_argument("--cores", default="1,2", help="how many cores an indexer gets; the node has the other one")
    parser.add_argument("--pairs", type=int, default=5, help="rounds at 100k; fewer of what is larger or slower")
    parser.add_argument("--peers", default="fetch,cryo,cryo-decoded,tiders,web3,ethereum-etl,ponder,ponder-raised")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs-per-block", type=int, default=100)
    parser.add_argument("--cache", type=Path, default=CACHE, help="generated chains and peers' environments")
    parser.add_argument("--json", type=Path, help="write every run to a file")
    options = parser.parse_args(words)
    if options.quick:
        options.sizes, options.pairs, options.peers, options.sources = "100k", 1, "cryo", "recorded"
    return options


def main(words: Sequence[str]) -> int:
    options = arguments(words)
    print(described())
    Crossmargin().install(options.cache)
    results: list[Result] = []
    for workload in listed(options.workloads):
        peers = ready_peers(options) if workload == "escrow" else []
        for size in map(count_of, listed(options.sizes)):
            for source in listed(options.sources):
                if source == "anvil" and (workload != "escrow" or size > 100_000):
                    continue
                results += measure(options, workload, source, size, peers)
    print_sustained(results)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0


def ready_peers(options: argparse.Namespace) -> list[Contender]:
    """Install the chosen peers; one that cannot be is named with the reason."""
    known, ready = all_peers(), []
    for name in listed(options.peers):
        if name == "none":
            continue
        try:
            known[name].install(options.cache / "peers")
        except Unavailable as reason:
            print(f"skipped: {known[name].name}: {reason}")
        else:
            ready.append(known[name])
    return ready


def measure(
    options: argparse.Namespace, workload: str, source: str, size: int, peers: Sequence[Contender]
) -> list[Result]:
    """Run everybody on one chain, in rounds, and print the table."""
    results: list[Result] = []
    for cores in map(int, listed(options.cores)):
        if source == "anvil" and cores < max(map(int, listed(options.cores))):
            continue
        node_core, indexer_cores = split(cores)
        with chain(options, workload, source, size, node_core) as task:
            found = list(runs(options, task, cores, indexer_cores, peers))
        print_table(found)
        results += found
    return results


def runs(
    options: argparse.Namespace, task: Task, cores: int, indexer_cores: frozenset[int], peers: Sequence[Contender]
) -> Iterator[Result]:
    """Let everybody take turns; a peer that fails is out, and said to be."""
    out: set[str] = set()
    for turn in range(rounds(options.pairs, task.logs)):
        for contender in (Crossmargin(), *peers):
            if contender.name in out or (contender.slow and not bearable(turn, task, options, cores)):
                continue
            load = os.getloadavg()[0]
            try:
                run = once(task, contender, indexer_cores, options.cache)
            except (Failed, Incomplete) as problem:
                if contender.name == OURS:
                    raise
                out.add(contender.name)
                print(f"out: {contender.name}: {' '.join(str(problem).split())[:400]}")
                continue
            yield Result(
                workload=task.workload, source=task.source, logs=task.logs, cores=cores, contender=contender.name,
                stores=contender.stores, turn=turn, load=load, run=run,
            )  # fmt: skip


def bearable(turn: int, task: Task, options: argparse.Namespace, cores: int) -> bool:
    """Tell whether those who need minutes are run here as well: on one source, with all the cores that are given to anybody."""
    where = "anvil" if "anvil" in listed(options.sources) else "recorded"
    most = max(map(int, listed(options.cores)))
    return turn < SLOW_PAIRS and task.logs <= 100_000 and task.source == where and cores == most


def once(task: Task, contender: Contender, cores: frozenset[int], cache: Path) -> Run:
    """Run one contender in an empty folder, and count what it asked."""
    (cache / "runs").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache / "runs"))
    try:
        if task.source != "recorded":
            return contender.run(task, folder, cores)
        sources.ask(task.url, "bench_reset")
        run = contender.run(task, folder, cores)
        counts = sources.ask(task.url, "bench_counts")
        requests = sum(count for name, count in counts.items() if name != "bytes")
        return replace(run, requests=requests, fetched_mb=counts.get("bytes", 0) / 1e6)
    finally:
        shutil.rmtree(folder)


def chain(
    options: argparse.Namespace, workload: str, source: str, size: int, cores: frozenset[int]
) -> AbstractContextManager[Task]:
    """Return the chain of a workload on a node that lives as long as the context."""
    common = {"seed": options.seed, "logs": size, "logs_per_block": options.logs_per_block}
    if source == "anvil":
        from bench.sync import anvil_chain  # noqa: PLC0415 - the devnet is wanted by this source alone

        return anvil_chain.filled(options.cache / "anvil", cores, **common)
    return sources.served(sources.generated(options.cache / "chains", workload, **common), cores)


def split(cores: int) -> tuple[frozenset[int], frozenset[int]]:
    """Return the node's cores and an indexer's: the node has the last one, which the indexer shares where it gets all."""
    usable = sorted(os.sched_getaffinity(0))
    return frozenset(usable[-1:]), frozenset(usable[:cores])


def rounds(pairs: int, size: int) -> int:
    return pairs if size <= 100_000 else max(pairs // 2, 1) if size <= 1_000_000 else 1


def listed(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def count_of(text: str) -> int:
    """Read 100k or 1m."""
    number = float(text.lower().rstrip("km"))
    return int(number * {"k": 1_000, "m": 1_000_000}.get(text[-1].lower(), 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
