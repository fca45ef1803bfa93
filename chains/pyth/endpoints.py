"""Hermes over HTTP: the latest updates of some feeds, from the first endpoint that gives usable ones.

Source: Hermes' OpenAPI description, `GET /v2/updates/price/latest`.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from chains.errors import ChainError, NodeLimits, NodeWrong
from chains.ports import Exchange, Observer
from chains.rpc.pace import Pace
from chains.rpc.transport import Received, Transport
from chains.rpc.wire import troubled

LATEST = "/v2/updates/price/latest"
TIMEOUT_S = 10.0
MOST_BYTES = 16 << 20
FEEDS_AT_ONCE = 100
"""Feeds in one request: so many ids fit an address that every server takes."""

LONGEST_WAIT_S = 30.0
OK = 200


class _Binary(msgspec.Struct):
    encoding: str
    data: list[str]


class _Answer(msgspec.Struct):
    binary: _Binary


_ANSWER = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class Endpoint:
    """One address, how fast it is asked, and what may be shown of it."""

    url: str
    label: str
    pace: Pace = field(default_factory=Pace)


class Endpoints:
    """The configured endpoints, asked in their order."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        observer: Observer,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.all = [Endpoint(url, label_of(number, url)) for number, url in enumerate(urls, start=1)]
        self._observer = observer
        self._clock = clock
        self._sleep = sleep
        self._transport = Transport(timeout_s=TIMEOUT_S, most_bytes=MOST_BYTES)

    async def aclose(self) -> None:
        """Close connections."""
        await self._transport.aclose()

    async def latest(self, endpoint: Endpoint, feed_ids: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the newest updates of some feeds as an endpoint says them; raises `NodeBusy`, `NodeWrong`."""
        bodies: list[bytes] = []
        for start in range(0, len(feed_ids), FEEDS_AT_ONCE):
            bodies += await self._asked(endpoint, feed_ids[start : start + FEEDS_AT_ONCE])
        return tuple(bodies)

    async def _asked(self, endpoint: Endpoint, feed_ids: Sequence[bytes]) -> list[bytes]:
        await self._turn(endpoint)
        began, received = self._clock(), None
        try:
            received = await self._transport.get(address_of(endpoint.url, feed_ids), endpoint.label)
            found = updates_in(endpoint.label, received)
        except ChainError as error:
            if isinstance(error, NodeLimits):
                endpoint.pace.refused(self._clock(), error.retry_after)
            self._tell(endpoint, type(error).__name__, began, received)
            raise
        endpoint.pace.went_well(self._clock())
        self._tell(endpoint, "answered", began, received)
        return found

    async def _turn(self, endpoint: Endpoint) -> None:
        while (delay_s := endpoint.pace.delay(self._clock())) > 0:
            if delay_s > LONGEST_WAIT_S:
                raise NodeLimits(f"{endpoint.label} wants a pause of {delay_s:.0f} s", retry_after=delay_s)
            await self._sleep(delay_s)
        endpoint.pace.take(self._clock(), 1)

    def _tell(self, endpoint: Endpoint, outcome: str, began: float, received: Received | None) -> None:
        self._observer.exchanged(
            Exchange(
                node=endpoint.label,
                method=LATEST,
                requests=1,
                outcome=outcome,
                seconds=self._clock() - began,
                received=received.wire_bytes if received else 0,
            )
        )


def address_of(url: str, feed_ids: Sequence[bytes]) -> str:
    """Return where an endpoint tells of some feeds; what the configured address says behind a `?` stays."""
    parts = urlsplit(url)
    asked = [("ids[]", feed_id.hex()) for feed_id in feed_ids]
    query = urlencode([*asked, ("encoding", "base64"), ("parsed", "false"), ("ignore_invalid_price_ids", "true")])
    path = parts.path.rstrip("/") + LATEST
    return urlunsplit((parts.scheme, parts.netloc, path, "&".join(filter(None, (parts.query, query))), ""))


def updates_in(label: str, received: Received) -> list[bytes]:
    """Return the updates in an answer; raises `NodeBusy`, `NodeWrong`."""
    if (trouble := troubled(label, received)) is not None:
        raise trouble
    if received.status != OK:
        raise NodeWrong(f"{label} answered HTTP {received.status}; check that it is Hermes, and the ids of the feeds")
    try:
        binary = _ANSWER.decode(received.body).binary
        return [_decoded(binary.encoding, text) for text in binary.data]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NodeWrong(f"{label} gave a malformed answer ({error})") from None


def _decoded(encoding: str, text: str) -> bytes:
    if encoding == "base64":
        return binascii.a2b_base64(text, strict_mode=True)
    if encoding == "hex":
        return bytes.fromhex(text)
    raise ValueError(f"the encoding {encoding[:20]!r} is not known")


def label_of(number: int, url: str) -> str:
    """Return what of an address may be shown, which holds no key."""
    try:
        host = urlsplit(url).hostname or "no host"
    except ValueError:
        host = "no host"
    return f"hermes {number} ({host})"
