"""What is asked of every watched source at the end of a span, and where within it that became what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial

from chains.evm.oracles.chainlink.checks import Doubt, Seen, question, verdict, watch
from chains.evm.ports import Answer, Check, Read, Watched
from chains.evm.source import EvmSource
from chains.model import Block

Headers = Callable[[Collection[int]], Awaitable[Mapping[int, Block]]]


class Polls:
    """Asks about blocks `first`..`last`; `headers` gives blocks that must exist."""

    def __init__(self, source: EvmSource, headers: Headers, first: int, last: int) -> None:
        self.source = source
        self._headers = headers
        self.first = first
        self.last = last
        self.polled: dict[Read, Answer] = {}

    async def changes(self, watched: Mapping[bytes, Watched]) -> list[Seen]:
        """Ask every watched proxy at the end of the span, and find the first block of each change."""
        changes = []
        await self._poll_all(watched, self.last)
        for proxy, feed in sorted(watched.items()):
            if await self._poll(proxy, self.last) != feed.pointer:
                changes.append(await self._first_change(proxy, max(feed.since, self.first - 1), feed.pointer))
        return changes

    def stored(self, watched: Mapping[bytes, Watched], known: Collection[Doubt]) -> list[Doubt]:
        """Return the doubts that were stored of the span and are not known yet."""
        told = self.source.doubts(self.first, self.last) if watched else {}
        found = [
            Doubt(read.block, proxy, fault, feed.word)
            for read, fault in sorted(told.items())
            for proxy, feed in sorted(watched.items())
            if feed.word and (read.address, read.input) == (proxy, feed.word)
        ]
        return [doubt for doubt in found if doubt not in known]

    async def doubtful(self, watched: Mapping[bytes, Watched]) -> list[Doubt]:
        """Check every source's own word at the end of the span, and find the first block where it was otherwise."""
        checked = {proxy: feed for proxy, feed in watched.items() if feed.word}
        verdicts = await self._verdicts(checked, self.last)
        return [
            await self._first_doubt(proxy, feed)
            for proxy, feed in sorted(checked.items())
            if verdicts[proxy] != feed.fault
        ]

    async def _first_doubt(self, proxy: bytes, feed: Watched) -> Doubt:
        same, other = max(feed.since - 1, self.first - 1), self.last
        while other - same > 1:
            middle = (same + other) // 2
            if (await self._verdicts({proxy: feed}, middle))[proxy] == feed.fault:
                same = middle
            else:
                other = middle
        return Doubt(other, proxy, (await self._verdicts({proxy: feed}, other))[proxy], feed.word)

    async def _verdicts(self, feeds: Mapping[bytes, Watched], number: int) -> dict[bytes, bytes]:
        blocks = await self._headers([number])
        at = blocks[number]
        names = {proxy: verdict(proxy, number, feed.word) for proxy, feed in feeds.items()}
        checks = {
            names[proxy]: Check(question(feed.speaker, number, feed.word), partial(feed.judge, at))
            for proxy, feed in feeds.items()
        }
        found = await self.source.check(checks, blocks)
        return {proxy: found[name] for proxy, name in names.items()}

    async def _first_change(self, proxy: bytes, same: int, known: Answer) -> Seen:
        changed = self.last
        while changed - same > 1:
            middle = (same + changed) // 2
            if await self._poll(proxy, middle) == known:
                same = middle
            else:
                changed = middle
        return Seen(changed, proxy, await self._poll(proxy, changed))

    async def _poll(self, proxy: bytes, number: int) -> Answer:
        await self._poll_all([proxy], number)
        return self.polled[watch(proxy, number)]

    async def _poll_all(self, proxies: Iterable[bytes], number: int) -> None:
        missing = [read for proxy in proxies if (read := watch(proxy, number)) not in self.polled]
        if missing:
            blocks = await self._headers([number])
            self.polled |= await self.source.read(missing, blocks)
