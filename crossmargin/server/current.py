"""The health of now, kept in memory as the bytes that are answered: as long as nothing changed that decides it, it is not judged again.

What decides it is the store, whose every change counts (`Store.edition`), whether chains may be believed, and, for accounts with members
that signed or were asked for, the time. Of an account that is asked about all the time, what was true at most `BRIDGED_S` ago is answered
while it is judged again: it names the blocks that it is as of, and is never behind a question that wrote something through this service.
"""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chains.model import Block, Reason
from crossmargin.documents import Document, encode
from crossmargin.local_desk import LocalDesk
from crossmargin.server.etags import etag
from crossmargin.server.quota import Clock
from crossmargin.server.workers import ITSELF, Workers
from crossmargin.watch import Watch
from indexer.store import Store

MOST_KEPT = 20_000
MOST_BYTES = 128 * 1024 * 1024
"""Of all answers that are kept, each with what it takes to keep it compressed too."""

TOGETHER = 64
"""So many accounts that wait to be judged are judged at once: what a state says of everybody is then read once."""

BRIDGED_S = 1.0
HOT_PER_S = 20
SIGNED_S = 1.0
"""How long an account with members of which time decides is believed to be as it was."""
DOUBTED_S = 0.05
"""After how long it is asked again whether chains may be believed."""

QUICK_S = 60.0
JUDGES = 2
"""So many threads judge those who wait."""

DECLARED = "declared"
Doubts = tuple[Reason, ...]


@dataclass(slots=True, kw_only=True)
class Kept:
    """An answer with its ETag; what it was true under; and how often it was asked for this second, and in the one before.

    `true_at`: when it was last known to be what would be judged.
    """

    body: bytes
    tag: str
    edition: int
    doubts: Doubts
    until: float
    true_at: float
    asked: int = 0
    asked_before: int = 0
    second: int = 0
    refreshing: bool = False
    compressed: bytes | None = None

    @property
    def packed(self) -> bytes:
        """The answer as it travels to who takes it compressed; made when the first does."""
        if self.compressed is None:
            self.compressed = gzip.compress(self.body, compresslevel=1, mtime=0)
        return self.compressed

    @property
    def weight(self) -> int:
        """About how many bytes are held for it."""
        return len(self.body) + len(self.body) // 2


class Current:
    """Answers by the names that were asked for; all of it belongs to the event loop."""

    def __init__(self, desk: LocalDesk, store: Store, watch: Watch | None, workers: Workers, clock: Clock) -> None:
        self._desk = desk
        self._store = store
        self._watch = watch
        self._workers = workers
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._floor = 0
        self._blocks: tuple[int, Mapping[str, Block]] = (-1, {})
        self._doubts: tuple[float, Doubts] = (-math.inf, ())
        self._looking = False
        self._running: dict[str, asyncio.Future[Kept]] = {}
        self._waiting: dict[str, asyncio.Future[Kept]] = {}
        self._judging: set[asyncio.Task[None]] = set()
        self._weight = 0

    @property
    def weight(self) -> int:
        """About how many bytes all kept answers take."""
        return self._weight

    def wrote(self) -> None:
        """Note that a question wrote something: nothing of before is answered any more."""
        self._floor = self._store.edition

    def peek(self, account: str) -> Kept | None:
        """Return what may be answered without judging, if anything may."""
        kept = self._kept.get(account)
        if kept is None:
            return None
        now = self._clock()
        _count(kept, int(now))
        doubts = self._believed(now)
        if kept.until <= now or _doubted(kept.doubts) != _doubted(doubts):
            return None
        if kept.edition == self._store.edition and kept.doubts == doubts:
            kept.true_at = now
            return kept
        return kept if self._bridges(account, kept, now) else None

    async def ask(self, account: str) -> Kept:
        """Return what may be answered, judging if needed, once for all who ask; raises what `Desk.health` raises.

        What was begun before something was written is not taken for what is asked behind it: then it is judged once more.
        """
        kept, asked_at = self.peek(account), self._store.edition
        if kept is not None:
            return kept
        while True:
            kept = await asyncio.shield(self._judged(account))
            if kept.edition >= asked_at:
                return kept

    def _bridges(self, account: str, kept: Kept, now: float) -> bool:
        """Whether an answer of before the last change may still be given, while a new one is made.

        What is doubted of which chain is the same then; the block that a chain has come to, which the words name, need not be.
        """
        if max(kept.asked, kept.asked_before) < HOT_PER_S or kept.edition < self._floor:
            return False
        if not kept.refreshing:
            kept.refreshing = True
            _ = self._judged(account)
        return now - kept.true_at < BRIDGED_S

    async def ask_all(self, accounts: Sequence[str], asker: str) -> list[Kept | Exception]:
        """Return the answers of several accounts, all of one state; of each that has none, why. `asker`: whose turn it is."""
        edition = self._store.edition
        known = self._exact(accounts, edition)
        missing = [name for name in dict.fromkeys(accounts) if name not in known]
        found = await self._judge_many(missing, asker) if missing else {}
        if missing and known and self._store.edition != edition:
            known, found = {}, await self._judge_many(list(dict.fromkeys(accounts)), asker)
        return [known[name] if name in known else found[name] for name in accounts]

    async def _judge_many(self, accounts: Sequence[str], asker: str) -> dict[str, Kept | Exception]:
        found = await self._judge_all(accounts, heavy=True, most_seconds=None, asker=asker)
        for name, kept in found.items():
            if isinstance(kept, Kept):
                self._keep(name, kept)
        return found

    def _exact(self, accounts: Sequence[str], edition: int) -> dict[str, Kept]:
        """Return what is kept of exactly that state, by account."""
        now = self._clock()
        doubts = self._believed(now)
        found = {name: kept for name in accounts if (kept := self._kept.get(name)) is not None}
        return {
            name: kept
            for name, kept in found.items()
            if kept.edition == edition and kept.until > now and kept.doubts == doubts
        }

    async def _judge_all(
        self, accounts: Sequence[str], *, heavy: bool, most_seconds: float | None, asker: str = ITSELF
    ) -> dict[str, Kept | Exception]:
        if self._blocks[0] < 0:
            self._blocks = await self._look()
        begun = self._clock()
        edition, doubts = self._store.edition, self._believed(begun)

        def judge() -> dict[str, Kept | Exception]:
            documents = self._desk.healths(accounts, None)
            return {
                name: document if isinstance(document, Exception) else self._made(document, edition, doubts, begun)
                for name, document in zip(accounts, documents, strict=True)
            }

        return await self._workers.do(judge, heavy=heavy, most_seconds=most_seconds, asker=asker)

    def _judged(self, account: str) -> asyncio.Future[Kept]:
        running = self._running.get(account)
        if running is None:
            running = self._running[account] = asyncio.get_running_loop().create_future()
            running.add_done_callback(lambda done: self._settle(account, done))
            self._waiting[account] = running
            if len(self._judging) < JUDGES:
                judge = asyncio.create_task(self._judge_waiting())
                self._judging.add(judge)
                judge.add_done_callback(self._judging.discard)
        return running

    async def _judge_waiting(self) -> None:
        """Judge who waits, some at a time, until nobody does."""
        while self._waiting:
            taken = {name: self._waiting.pop(name) for name in list(self._waiting)[:TOGETHER]}
            for name, found in (await self._outcomes(list(taken))).items():
                if taken[name].done():
                    continue
                if isinstance(found, Kept):
                    taken[name].set_result(found)
                else:
                    taken[name].set_exception(found)

    async def _outcomes(self, names: Sequence[str]) -> dict[str, Kept | Exception]:
        """Judge some accounts; what stops all of them is found out one by one, so that nobody's fault is another's."""
        try:
            return await self._judge_all(names, heavy=False, most_seconds=QUICK_S)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            if len(names) == 1:
                return {names[0]: error}
        found: dict[str, Kept | Exception] = {}
        for name in names:
            found |= await self._outcomes([name])
        return found

    def _made(self, document: Document, edition: int, doubts: Doubts, begun: float) -> Kept:
        body = encode(document)
        return Kept(
            body=body,
            tag=etag(body),
            edition=edition,
            doubts=doubts,
            until=begun + SIGNED_S if _rests_on_time(document) else math.inf,
            true_at=begun,
        )

    def _settle(self, account: str, done: asyncio.Future[Kept]) -> None:
        self._running.pop(account, None)
        if done.cancelled() or done.exception() is not None:
            self._forget(account)
        else:
            self._keep(account, done.result())

    def _keep(self, account: str, kept: Kept) -> None:
        before = self._forget(account)
        if before is not None:
            kept.asked, kept.asked_before, kept.second = before.asked, before.asked_before, before.second
        self._kept[account] = kept
        self._weight += kept.weight
        while len(self._kept) > MOST_KEPT or self._weight > MOST_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, account: str) -> Kept | None:
        kept = self._kept.pop(account, None)
        if kept is not None:
            self._weight -= kept.weight
        return kept

    def _believed(self, now: float) -> Doubts:
        """What is doubted of the chains, as of a moment ago at most, and of blocks that are stored or were a moment ago."""
        asked_at, doubts = self._doubts
        if self._watch is None or now - asked_at < DOUBTED_S:
            return doubts
        if self._blocks[0] != self._store.edition and not self._looking:
            self._looking = True
            asyncio.ensure_future(self._look()).add_done_callback(self._looked)
        doubts = self._watch.doubts(self._blocks[1])
        self._doubts = (now, doubts)
        return doubts

    async def _look(self) -> tuple[int, Mapping[str, Block]]:
        return await self._workers.do(self._stored_blocks, heavy=False, most_seconds=QUICK_S)

    def _looked(self, done: asyncio.Future[tuple[int, Mapping[str, Block]]]) -> None:
        self._looking = False
        if not done.cancelled() and done.exception() is None:
            self._blocks = done.result()

    def _stored_blocks(self) -> tuple[int, Mapping[str, Block]]:
        edition = self._store.edition
        with self._store.reading() as reader:
            found = {chain_id: reader.cursor(chain_id) for chain_id in reader.chains()}
        return edition, {chain_id: held.block for chain_id, held in found.items() if held is not None}


def _doubted(doubts: Doubts) -> list[tuple[str, str]]:
    return [(each.code, each.subject) for each in doubts]


def _count(kept: Kept, second: int) -> None:
    if kept.second != second:
        kept.asked_before = kept.asked if second - kept.second == 1 else 0
        kept.asked, kept.second = 0, second
    kept.asked += 1


def _rests_on_time(document: Document) -> bool:
    return any(member["kind"] != DECLARED for member in document["membership"].values())
