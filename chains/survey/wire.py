"""One address, asked without failover: every answer, refusal and silence is a finding here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from statistics import median
from time import monotonic, time
from typing import Any, TypeVar, assert_never
from urllib.parse import urlsplit

import aiohttp
import msgspec

from chains.redaction import Redactor
from chains.survey.facts import Ability, NodeSurvey

T = TypeVar("T")

TIMEOUT_S = 10.0
LOOKS = 3
"""Questions of which the median time is the latency."""

MOST_REQUESTS = 150
"""HTTP requests to one address, all measurements together."""

PATIENCE = 2
"""How often a request is made again that came too soon for a node."""

_LONGEST_WAIT_S = 5.0
_TOO_MANY = re.compile(
    r"rate.?limit|too many requests|throughput|compute units|(request|capacity|quota).* exceeded", re.IGNORECASE
)
_TOO_MANY_CODES = frozenset({429, -32097, -32429})


@dataclass(frozen=True, slots=True)
class Answered:
    """A result."""

    result: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Refused:
    """A node's own error."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer that could be read; `text` says how, without the address."""

    text: str


Said = Answered | Refused | Silent


class Undecided(Exception):
    """A question stays open; the message says why."""


class _Fault(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Reply(msgspec.Struct):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    error: _Fault | None = None


@dataclass(slots=True)
class Wire:
    """A node under measurement, and what its transport showed so far."""

    url: str = field(repr=False)
    label: str
    session: aiohttp.ClientSession = field(repr=False)
    requests: int = 0
    calls: int = 0
    limited: int = 0
    gzip: bool = False
    skew_s: float | None = None
    seconds: list[float] = field(default_factory=list)

    async def ask(self, method: str, *params: object) -> Said:
        """Make one request."""
        said = await self._patiently([(method, params)])
        return said[0] if isinstance(said, list) else said

    async def batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Said] | Refused | Silent:
        """Make requests in one JSON-RPC batch; a refusal of the whole batch comes back alone."""
        return await self._patiently(requests)

    async def _patiently(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Said] | Refused | Silent:
        said: list[Said] | Refused | Silent = Silent("was not asked")
        for _ in range(PATIENCE + 1):
            said, wait_s = await self._once(requests)
            if wait_s is None:
                break
            self.limited += 1
            await asyncio.sleep(wait_s)
        return said

    async def _once(
        self, requests: Sequence[tuple[str, Sequence[object]]]
    ) -> tuple[list[Said] | Refused | Silent, float | None]:
        """Return what was said, and how long to wait before it is asked again."""
        if self.requests >= MOST_REQUESTS:
            return Silent(f"was asked {MOST_REQUESTS} times already"), None
        self.requests += 1
        self.calls += len(requests)
        body = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(requests)]
        began = monotonic()
        try:
            async with self.session.post(self.url, json=body if len(body) > 1 else body[0]) as reply:
                answer = await reply.read()
        except TimeoutError:
            return Silent(f"did not answer within {TIMEOUT_S:g} s"), None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Silent(f"cannot be reached ({type(error).__name__})"), None
        self.seconds.append(monotonic() - began)
        self._look(reply.headers)
        said = _read(answer, len(body), reply.status, Redactor((self.url,)))
        return said, _wait(said, reply.status, reply.headers)

    def survey(self, **found: Any) -> NodeSurvey:  # noqa: ANN401 - the other fields of NodeSurvey
        """Say what was found out about this node, and what that took."""
        return NodeSurvey(label=self.label, requests=self.requests, calls=self.calls, limited=self.limited, **found)

    def _look(self, headers: Mapping[str, str]) -> None:
        self.gzip = self.gzip or headers.get("Content-Encoding", "") in {"gzip", "br", "deflate", "zstd"}
        try:
            self.skew_s = parsedate_to_datetime(headers["Date"]).timestamp() + 0.5 - time()
        except (KeyError, ValueError):
            return

    async def subscribed(self, url: str, method: str, *params: object) -> Said:
        """Ask for a subscription over a websocket."""
        self.requests += 1
        self.calls += 1
        try:
            async with asyncio.timeout(TIMEOUT_S), self.session.ws_connect(url) as socket:
                await socket.send_json({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
                told = await socket.receive()
        except TimeoutError:
            return Silent(f"did not answer within {TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Silent(f"takes no websocket ({type(error).__name__})")
        said = _read(str(told.data).encode(), 1, 200, Redactor((self.url, url)))
        return said[0] if isinstance(said, list) else said


def label(number: int, url: str, kind: str = "node") -> str:
    """Return what may be shown of an address."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return f"{kind} {number} ({host})"


def result(said: Said, kind: type[T]) -> T:
    """Return a decoded result; raises `Undecided` for everything else."""
    match said:
        case Answered(raw):
            try:
                return msgspec.json.decode(raw, type=kind)
            except msgspec.DecodeError as error:
                raise Undecided(f"answers in another shape ({error})") from error
        case Refused(_, text):
            raise Undecided(f"refuses: {text}")
        case Silent(text):
            raise Undecided(text)
        case _:
            assert_never(said)


def _read(answer: bytes, asked: int, status: int, redactor: Redactor) -> list[Said] | Refused | Silent:
    """Read a body, whatever its status: many providers put their refusals into HTTP errors, and the key that they refuse."""
    try:
        replies = msgspec.json.decode(answer, type=_Reply | list[_Reply])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Silent(f"answers HTTP {status}" if status >= 400 else "gives no JSON-RPC answer")  # noqa: PLR2004 - HTTP: an error
    if isinstance(replies, _Reply):
        said = _said(replies, redactor)
        return said if asked > 1 and not isinstance(said, Answered) else [said]
    found = {reply.id: _said(reply, redactor) for reply in replies}
    if any(i not in found for i in range(asked)):
        return Silent("leaves requests of a batch unanswered")
    return [found[i] for i in range(asked)]


def _said(reply: _Reply, redactor: Redactor) -> Said:
    if reply.error is not None:
        return Refused(reply.error.code, clean(redactor.scrub(reply.error.message)))
    return Answered(reply.result) if bytes(reply.result) else Silent("answers with neither result nor error")


def _wait(said: list[Said] | Refused | Silent, status: int, headers: Mapping[str, str]) -> float | None:
    """Return how long a node wants to be left alone, or nothing."""
    each = said if isinstance(said, list) else [said]
    if status != 429 and not any(_too_many(one) for one in each):  # noqa: PLR2004 - HTTP "too many requests"
        return None
    try:
        return min(float(headers.get("Retry-After", "")), _LONGEST_WAIT_S)
    except ValueError:
        return 1.0


def _too_many(said: Said) -> bool:
    return isinstance(said, Refused) and (said.code in _TOO_MANY_CODES or _TOO_MANY.search(said.text) is not None)


def clean(text: str) -> str:
    """Keep what a node says to one printable line, without any address in it (addresses may hold keys)."""
    line = re.sub(r"\w+://\S+", "<address>", " ".join(text.split()))
    return "".join(char for char in line if char.isprintable())[:200]


def opened() -> aiohttp.ClientSession:
    """Open connections for a survey."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))


def websockets_of(url: str, configured: Sequence[str]) -> list[str]:
    """Return where a node may take websockets: at the configured addresses of its host, else where nodes usually do."""
    host = urlsplit(url).hostname
    return [each for each in configured if urlsplit(each).hostname == host] or ["ws" + url.removeprefix("http")]


async def batched(node: Wire, method: str, size: int) -> str | None:
    """Ask the same many times at once; return the words against it."""
    said = await node.batch([(method, ())] * size)
    each = said if isinstance(said, list) else [said]
    return next((words for one in each if (words := refusal(one)) is not None), None)


async def latency(node: Wire, method: str, *params: object) -> float | None:
    """Ask a few times on the open connection and return the median time in seconds."""
    node.seconds.clear()
    for _ in range(LOOKS):
        await node.ask(method, *params)
    return median(node.seconds) if node.seconds else None


def granted(said: Said) -> Ability:
    """Tell whether something was answered."""
    match said:
        case Answered():
            return Ability(value=True)
        case Refused(_, text):
            return Ability(value=False, said=text)
        case Silent(text):
            return Ability(value=None, said=text)
        case _:
            assert_never(said)


def refusal(said: Said) -> str | None:
    """Return a node's words against a request, `None` where it answered; raises `Undecided` for silence."""
    match said:
        case Answered():
            return None
        case Refused(_, text):
            return text
        case Silent(text):
            raise Undecided(text)
        case _:
            assert_never(said)
