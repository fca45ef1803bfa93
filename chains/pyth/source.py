"""Where looks come from: endpoints now, or what was stored of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from chains.errors import NodeBusy, NodeWrong
from chains.ports import Observer, RawReader
from chains.pyth.endpoints import Endpoint, Endpoints
from chains.pyth.fold import Hermes, Look, Said

OBSERVATION = "observation"


class Source(Protocol):
    """Looks at the feeds of one chain."""

    async def look(self) -> int:
        """Look now, and return the Unix second; raises `ChainError`."""
        ...

    def looks(self, first: int, last: int) -> Sequence[Look]:
        """Return the looks of a span of seconds, in order."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class LiveSource:
    """Endpoints: the first whose answer passes every check is believed.

    `clock`: Unix seconds. What is not believed is nowhere kept; the error names why, and another endpoint is asked.
    """

    def __init__(self, hermes: Hermes, endpoints: Endpoints, *, observer: Observer, clock: Callable[[], float]) -> None:
        self._hermes = hermes
        self._endpoints = endpoints
        self._observer = observer
        self._clock = clock
        self._ages: dict[bytes, tuple[int, int]] = {}
        self._look: Look | None = None

    async def look(self) -> int:
        """Ask one endpoint after another; raises what the last one did wrong."""
        if not self._hermes.feed_ids:
            return int(self._clock())
        for left in reversed(range(len(self._endpoints.all))):
            endpoint = self._endpoints.all[len(self._endpoints.all) - 1 - left]
            try:
                return await self._asked(endpoint, alone=not left)
            except (NodeBusy, NodeWrong) as error:
                if not left:
                    raise
                self._observer.failed(endpoint.label, error)
        raise AssertionError("a chain has an address")

    async def _asked(self, endpoint: Endpoint, *, alone: bool) -> int:
        bodies = await self._endpoints.latest(endpoint, self._hermes.feed_ids)
        second = int(self._clock())
        said, refused = self._hermes.read(bodies)
        if refused:
            raise NodeWrong(f"{endpoint.label} gave an update that is not believed ({refused[0]}); ask another")
        if not said and not alone:
            raise NodeWrong(f"missing_feed: {endpoint.label} gave no price of any feed; ask another")
        for feed_id, each in said.items():
            self._check(endpoint.label, feed_id, each, second)
        self._ages |= {feed_id: each.age for feed_id, each in said.items()}
        self._look = Look(second, endpoint.label, bodies)
        return second

    def _check(self, label: str, feed_id: bytes, said: Said, second: int) -> None:
        named, published = f"feed {feed_id.hex()}", said.price.publish_time
        if feed_id not in self._hermes.feed_ids:
            raise NodeWrong(f"wrong_feed: {label} gave a price of {named}, which was not asked for; check the endpoint")
        if published > second:
            raise NodeBusy(
                f"from_the_future: {label} gave a price of {named} of {published}, {published - second} s ahead of this"
                " machine's clock; check the clock"
            )
        newest = self._ages.get(feed_id, said.age)
        if said.age < newest:
            raise NodeBusy(
                f"replayed: {label} gave a price of {named} of {published} after one of {newest[0]};"
                " the endpoint is behind, or repeats old prices"
            )

    def looks(self, first: int, last: int) -> Sequence[Look]:
        """Return the last look, if it is of the span."""
        return [self._look] if self._look is not None and first <= self._look.second <= last else []

    async def aclose(self) -> None:
        """Close connections."""
        await self._endpoints.aclose()


class StoredSource:
    """What was stored: no network."""

    def __init__(self, raw: RawReader, last: int) -> None:
        self._raw = raw
        self._last = last

    async def look(self) -> int:
        """Return the last second that is stored."""
        return self._last

    def looks(self, first: int, last: int) -> Sequence[Look]:
        """Return the stored looks of a span."""
        found: dict[int, tuple[str, list[bytes]]] = {}
        for row in self._raw.table(OBSERVATION, first, last).to_pylist():
            bodies = found.setdefault(row["fetched_at"], (row["source"], []))[1]
            if row["body"]:
                bodies.append(row["body"])
        return [Look(second, source, tuple(bodies)) for second, (source, bodies) in found.items()]

    async def aclose(self) -> None:
        """Close nothing."""
