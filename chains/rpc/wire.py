"""JSON-RPC requests as bytes, and answers taken apart: each request has exactly one answer, or the node is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from chains.errors import ChainError, NodeBusy, NodeLimits, NodeWrong
from chains.redaction import Redactor
from chains.rpc.dialect import Request, RpcFault
from chains.rpc.transport import Received

TOO_MANY_REQUESTS = 429
TOO_LARGE = 413
GONE = 410
SERVER_ERRORS = 500
LONGEST_PAUSE_S = 3_600.0
ENTITY_TOO_LARGE = "request entity too large"
_ADDRESS_WRONG = frozenset({401, 403, 404})
_BATCH = re.compile(r"\bbatch", re.IGNORECASE)
_RESPONSE = re.compile(r"response (is |size )?too large|response size exceeds", re.IGNORECASE)
_SECONDS = re.compile(r"\s*-?\d{1,12}(\.\d*)?\s*")
_NUMBER = re.compile(r"\d+")
_HEX = re.compile(r"0x[0-9a-fA-F]*")
_UNSUPPORTED = re.compile(r"not (supported|allowed|enabled|available)|unsupported|disabled", re.IGNORECASE)


class _Fault(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class Reply(msgspec.Struct):
    """One element of an answer."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    error: _Fault | None = None


_ONE = msgspec.json.Decoder(Reply)
_MANY = msgspec.json.Decoder(list[Reply])


class BatchRefused(NodeWrong):
    """A node takes no batch of this size; `limit` is the size it named, or `None`."""

    def __init__(self, message: str, *, limit: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit


class Refused(RpcFault):
    """A single error for all that was asked; what it means, its family of nodes says."""


def encoded(requests: Sequence[Request], first: int) -> bytes:
    """Return the body for requests, with ids from `first` on: never used twice, so that no answer passes for another's."""
    body = [{"jsonrpc": "2.0", "id": first + i, "method": m, "params": p} for i, (m, p) in enumerate(requests)]
    return msgspec.json.encode(body if len(body) > 1 else body[0])


def replies(label: str, received: Received, first: int, count: int, redactor: Redactor) -> list[Reply]:
    """Return one reply for each request, in order, without the node's address in its words: some name the key that they refuse.

    Raises `NodeBusy`, `NodeWrong`, `BatchRefused`, `Refused`.
    """
    found = _found(label, received, count)
    for fault in (reply.error for reply in found):
        if fault is not None:
            fault.message = redactor.scrub(fault.message)
            if isinstance(fault.data, str) and not _HEX.fullmatch(fault.data):  # what a contract returned is no words
                fault.data = redactor.scrub(fault.data)
    if count > 1:
        _see_refusal(label, found, count)
    return _each(label, found, first, count)


def _found(label: str, received: Received, count: int) -> list[Reply]:
    trouble = troubled(label, received)
    body = received.body
    try:
        found = _MANY.decode(body) if body.lstrip()[:1] == b"[" else [_ONE.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if trouble is None and received.status == TOO_LARGE:
            trouble = _too_large(label, count)
        raise trouble or NodeWrong(f"{label} gave a malformed answer ({error})") from None
    if trouble is not None and not (received.status >= SERVER_ERRORS and _explained(found)):
        raise trouble
    return found


def troubled(label: str, received: Received) -> ChainError | None:
    """Return what an HTTP status means by itself, `None` where it means no trouble."""
    status, wait_s = received.status, retry_after_s(received.headers)
    if status == TOO_MANY_REQUESTS:
        return NodeLimits(f"{label} limits the request rate", retry_after=wait_s)
    if status >= SERVER_ERRORS:
        return NodeBusy(f"{label} answered HTTP {status}", retry_after=wait_s)
    if status == GONE:
        return NodeWrong(f"{label} answered HTTP {GONE}: it does not serve what is asked for any more")
    if status in _ADDRESS_WRONG:
        return NodeWrong(f"{label} answered HTTP {status}; check the key and the path of its address")
    return None


def _too_large(label: str, count: int) -> ChainError:
    message = f"{label} answered HTTP {TOO_LARGE}"
    return BatchRefused(message) if count > 1 else Refused(message, code=TOO_LARGE, text=ENTITY_TOO_LARGE, data=None)


def _explained(found: Sequence[Reply]) -> bool:
    """Tell whether a server error comes with the node's own words, which say more than its status."""
    return bool(found) and all(reply.error is not None and reply.error.message for reply in found)


def _see_refusal(label: str, found: Sequence[Reply], count: int) -> None:
    """See that a batch was not refused as one, by a single answer or in that to its first request, or for the length of its answers."""
    for fault in (reply.error for reply in found):
        if fault is None:
            continue
        message = f"{label} refuses a batch of {count}: {clean(fault.message)}"
        if _RESPONSE.search(fault.message):
            raise BatchRefused(message)
        if len(found) < count and _BATCH.search(fault.message):
            raise BatchRefused(message, limit=_stated(fault.message, count))
        if len(found) == 1:
            raise Refused(message, code=fault.code, text=clean(fault.message), data=fault.data)


def _stated(text: str, count: int) -> int | None:
    """Return the size that a refusal names, below that of the batch."""
    named = [int(number) for number in _NUMBER.findall(text) if 0 < int(number) < count]
    if named:
        return min(named)
    return 1 if _UNSUPPORTED.search(text) else None


def _each(label: str, found: Sequence[Reply], first: int, count: int) -> list[Reply]:
    places = {reply.id: reply for reply in found}
    if len(places) < len(found):
        raise NodeWrong(f"{label} answered one request of a batch twice")
    wanted = range(first, first + count)
    if any(place not in wanted for place in places):
        raise NodeWrong(f"{label} gave an answer to another request than was made")
    if len(places) < count:
        raise NodeWrong(f"{label} left requests of a batch unanswered")
    return [places[place] for place in wanted]


def fault_of(label: str, method: str, reply: Reply) -> RpcFault | None:
    """Return the error of a reply; raises `NodeWrong` for one with neither error nor result."""
    if reply.error is None:
        if not memoryview(reply.result).nbytes:
            raise NodeWrong(f"{label} answered {method} with neither result nor error")
        return None
    text = clean(reply.error.message)
    return RpcFault(f"{label} refuses {method}: {text}", code=reply.error.code, text=text, data=reply.error.data)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return how long a node wishes not to be asked, in seconds or until a date; an hour at most."""
    said = headers.get("Retry-After", "")
    if not _SECONDS.fullmatch(said):
        return _until(said, now or datetime.now(UTC))
    return min(max(0.0, float(said)), LONGEST_PAUSE_S)


def _until(said: str, now: datetime) -> float | None:
    try:
        pause_s: float = (parsedate_to_datetime(said) - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, pause_s), LONGEST_PAUSE_S)


def clean(text: str) -> str:
    """Keep what a node says to one printable line, without any address in it (addresses may hold keys)."""
    line = re.sub(r"\w+://\S+", "<address>", " ".join(text.split()))
    return "".join(c for c in line if c.isprintable())[:300]
