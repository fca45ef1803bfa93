"""What the followers of this process see of their chains, and whether a chain may still be believed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from chains.errors import ChainError
from chains.model import Block, Reason
from chains.ports import Head
from crossmargin.documents import moment
from crossmargin.halts import UNSEEN, Pulse
from crossmargin.logs import Logger
from crossmargin.settings import ChainSettings
from indexer.loop import Listener, Progress

MOST_REORGS = 200
"""How many are remembered, the newest."""

SETTLING_S = 60
"""How long after a moment a block of that moment may still arrive."""

Clock = Callable[[], float]
"""Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The last that was seen of a chain: `polled_at`, when a node last answered; `since`, when it began.

    `broken`: its follower broke off and has not gone on since; `polls`: how often a node has answered it since then.
    """

    since: float
    head: Head | None = None
    polled_at: float | None = None
    fault: str | None = None
    stopped: bool = False
    broken: bool = False
    polls: int = 0
    pulse: Pulse = UNSEEN
    doubt: Reason | None = None
    by: str | None = None
    """The indexer that follows the chain, where that is another process; `doubt` is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an indexer that follows a chain says that it sees, see `Sight`."""

    head: Head | None
    polled_at: float | None
    fault: str | None
    stopped: bool
    broken: bool
    doubt: Reason | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorg:
    """A chain left `depth` blocks above block `to`, as was seen at `seen_at` (Unix seconds)."""

    chain_id: str
    depth: int
    to: int
    seen_at: float


class Watch:
    """A listener that remembers; it is told by the event loop and asked by any thread."""

    def __init__(self, chains: Iterable[ChainSettings], clock: Clock) -> None:
        self._clock = clock
        self._chains = {chain.spec.id: chain for chain in chains}
        self._sights = {chain_id: Sight(since=clock()) for chain_id in self._chains}
        self._reorgs: deque[Reorg] = deque(maxlen=MOST_REORGS)
        self._lock = Lock()

    def appended(self, progress: Progress) -> None:
        """A batch came in, so that a node has answered."""
        self._see(progress.chain_id, polled_at=self._clock())
        self._go_on(progress.chain_id)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        """Remember it; what is stored now the store knows."""
        with self._lock:
            self._reorgs.append(Reorg(chain_id=chain_id, depth=depth, to=to, seen_at=self._clock()))

    @property
    def reorgs(self) -> tuple[Reorg, ...]:
        """Those that were seen since the service began, the newest first."""
        with self._lock:
            return tuple(reversed(self._reorgs))

    def polled(self, chain_id: str, head: Head) -> None:
        sight = self.sight(chain_id)
        if sight.polls:
            self._go_on(chain_id)
        fault = sight.fault if sight.broken and not sight.polls else None
        now, pulse = self._clock(), sight.pulse
        if sight.head is not None:
            pulse = pulse.after(sight.head.latest, head.latest, now, self._chains[chain_id])
        self._see(chain_id, head=head, polled_at=now, fault=fault, polls=sight.polls + 1, pulse=pulse)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        del retry_in
        sight = self.sight(chain_id)
        self._see(chain_id, fault=sight.fault if sight.broken else str(error), polls=0)

    def broke(self, chain_id: str, error: Exception) -> None:
        """Note that a follower broke off and will begin again; it has gone on once a batch came in, or a second poll after a whole step."""
        fault = f"unexpected {type(error).__name__}: {error}"
        self._see(chain_id, fault=fault, broken=True, polls=0)

    def stopped(self, chain_id: str, error: Exception) -> None:
        """Note that a follower ended for good."""
        self._see(chain_id, fault=str(error), stopped=True)

    def heard(self, chain_id: str, heard: Heard) -> None:
        """Take over what an indexer sees: that it answers makes nothing fresh, only what its nodes answered does."""
        self._see(
            chain_id,
            head=None if heard.polled_at is None else heard.head,
            polled_at=heard.polled_at,
            fault=heard.fault,
            stopped=heard.stopped,
            broken=heard.broken,
            doubt=heard.doubt,
            by=heard.by,
        )

    @property
    def chains(self) -> Collection[str]:
        """The chains that are followed."""
        return self._chains

    def sight(self, chain_id: str) -> Sight:
        """Return the last that was seen of a chain."""
        with self._lock:
            return self._sights[chain_id]

    def doubts(self, indexed: Mapping[str, Block | None]) -> tuple[Reason, ...]:
        """Say which chains may not be believed, given the last block of each that is stored."""
        reasons = (self.doubt(chain_id, indexed.get(chain_id)) for chain_id in self._chains)
        return tuple(reason for reason in reasons if reason is not None)

    def doubt(self, chain_id: str, indexed: Block | None) -> Reason | None:
        """Say why a chain may not be believed, in words that stay the same while nothing changes."""
        sight, chain, now = self.sight(chain_id), self._chains[chain_id], self._clock()
        limit = chain.stale_after_s
        seen = sight.polled_at if sight.polled_at is not None else sight.since
        if sight.stopped or sight.broken:
            return _ended(chain_id, sight)
        if now - seen > limit:
            return Reason("chain_stale", chain_id, f"no node has answered since {moment(int(seen))}")
        if sight.head is None:
            return Reason("chain_stale", chain_id, "no node has answered yet")
        if indexed is None:
            return Reason("chain_stale", chain_id, "nothing is indexed yet")
        if sight.head.latest.time - indexed.time > limit:
            return Reason("chain_behind", chain_id, f"indexed to block {indexed.number}, far behind the head")
        return sight.pulse.halted(sight.head.latest, now, chain) or sight.doubt

    def at_head_after(self, chain_id: str, moment: int, indexed: Block | None) -> bool:
        """Whether a node was asked well after a moment, and everything that it knew is indexed."""
        sight = self.sight(chain_id)
        asked = sight.polled_at is not None and sight.polled_at > moment + SETTLING_S
        return asked and sight.head is not None and sight.head.latest == indexed

    def _go_on(self, chain_id: str) -> None:
        if self.sight(chain_id).broken:
            self._see(chain_id, broken=False, fault=None)

    def _see(self, chain_id: str, **seen: object) -> None:
        with self._lock:
            self._sights[chain_id] = replace(self._sights[chain_id], **seen)  # type: ignore[arg-type]  # fields of a `Sight`


def _ended(chain_id: str, sight: Sight) -> Reason:
    if sight.stopped:
        return Reason("chain_stopped", chain_id, f"following has ended: {sight.fault}")
    return Reason("chain_broken", chain_id, f"following broke off and is tried again: {sight.fault}")


class LogListener:
    """A listener that writes events."""

    def __init__(self, log: Logger) -> None:
        self._log = log

    def appended(self, progress: Progress) -> None:
        self._log.debug(
            "appended",
            chain=progress.chain_id,
            first=progress.first,
            indexed=progress.indexed,
            target=progress.target,
            records=progress.records,
            rows=progress.rows,
            **{f"{stage}_s": round(seconds, 3) for stage, seconds in progress.seconds.items()},
        )

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._log.info("rewound", chain=chain_id, depth=depth, to=to)

    def polled(self, chain_id: str, head: Head) -> None:
        self._log.debug("polled", chain=chain_id, head=head.latest.number, settled=head.settled)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        kind = type(error).__name__
        self._log.warning("node_failed", chain=chain_id, kind=kind, error=str(error), retry_in=retry_in)


class Listeners:
    """Tells several listeners the same."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def appended(self, progress: Progress) -> None:
        for listener in self._listeners:
            listener.appended(progress)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        for listener in self._listeners:
            listener.rewound(chain_id, depth, to)

    def polled(self, chain_id: str, head: Head) -> None:
        for listener in self._listeners:
            listener.polled(chain_id, head)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        for listener in self._listeners:
            listener.failed(chain_id, error, retry_in)
