"""What goes wrong between a node and its client, on demand.

`faults.inject(fault, …)` holds until it is lifted, or for a count of requests; a fault that concerns notifications
counts those. Without methods a fault concerns those that it makes sense for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

HISTORY_METHODS = frozenset(
    {
        "getBlock",
        "getBlockTime",
        "getBlocks",
        "getBlocksWithLimit",
        "getFirstAvailableBlock",
        "getSignatureStatuses",
        "getSignaturesForAddress",
        "getTransaction",
        "minimumLedgerSlot",
    }
)
BLOCK_METHODS = frozenset({"getBlock", "getBlockTime"})
LISTING_METHODS = frozenset({"getBlocks", "getBlocksWithLimit", *BLOCK_METHODS})


@dataclass(frozen=True, slots=True)
class RateLimited:
    """HTTP 429."""

    retry_after_seconds: int = 1
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class HttpError:
    """Another HTTP status, with a body that is no JSON."""

    status: int = 503
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class ClosedConnection:
    """The connection ends instead of an answer."""

    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer comes later."""

    seconds: float = 0.2
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class MalformedBody:
    """Status 200, and a body that is not what it should be."""

    body: str = '{"jsonrpc":"2.0","id":1,"result":'
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class NodeBehind:
    """-32005."""

    slots: int | None = 160
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class BlockNotAvailable:
    """-32004, whatever the slot."""

    usual_methods: ClassVar[frozenset[str] | None] = BLOCK_METHODS


@dataclass(frozen=True, slots=True)
class NullTransaction:
    """A transaction that the node knows is null."""

    usual_methods: ClassVar[frozenset[str] | None] = frozenset({"getTransaction"})


@dataclass(frozen=True, slots=True)
class HistoryLag:
    """Blocks, signatures and transactions stand so many slots behind the accounts."""

    slots: int = 8
    usual_methods: ClassVar[frozenset[str] | None] = HISTORY_METHODS


@dataclass(frozen=True, slots=True)
class TruncatedHistory:
    """Nothing before a slot is kept."""

    first_slot: int
    usual_methods: ClassVar[frozenset[str] | None] = HISTORY_METHODS


@dataclass(frozen=True, slots=True)
class OmittedBlocks:
    """Blocks that the node denies, as if their slots had been skipped."""

    omitted: frozenset[int]
    usual_methods: ClassVar[frozenset[str] | None] = LISTING_METHODS


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The answer comes from another node behind the same address, which stands so many slots behind this one."""

    slots: int = 4
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class SignatureOrder:
    """Within a slot an address's transactions come by signature and not by their place, as nodes once had it."""

    usual_methods: ClassVar[frozenset[str] | None] = frozenset({"getSignaturesForAddress"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A result or an error that the test makes up."""

    result: Any = None
    error: dict[str, Any] | None = None
    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class Duplicated:
    """A notification is sent twice."""

    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class Reordered:
    """A notification is sent after the one that follows it."""

    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class Swallowed:
    """A notification is never sent."""

    usual_methods: ClassVar[frozenset[str] | None] = None


@dataclass(frozen=True, slots=True)
class DroppedWebsocket:
    """Every websocket ends, without a farewell, after so many notifications; the count is one of endings."""

    after: int = 0
    usual_methods: ClassVar[frozenset[str] | None] = None


RequestFault: TypeAlias = (
    RateLimited
    | HttpError
    | ClosedConnection
    | Delay
    | MalformedBody
    | NodeBehind
    | BlockNotAvailable
    | NullTransaction
    | HistoryLag
    | TruncatedHistory
    | OmittedBlocks
    | Elsewhere
    | SignatureOrder
    | Answer
)
NotificationFault: TypeAlias = Duplicated | Reordered | Swallowed | DroppedWebsocket
Fault: TypeAlias = RequestFault | NotificationFault
Where: TypeAlias = Callable[[list[Any]], bool]
F = TypeVar("F")

NOTIFICATION_FAULTS = (Duplicated, Reordered, Swallowed)


class Injection:
    """A fault in force. As a context manager it is lifted at the end."""

    def __init__(
        self, faults: Faults, fault: Fault, methods: frozenset[str] | None, count: int | None, where: Where | None
    ) -> None:
        self._faults = faults
        self.fault = fault
        self.methods = methods
        self.left = count
        self.where = where
        self.hits = 0
        self._sent = 0

    def lift(self) -> None:
        """End it."""
        self._faults.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.lift()

    def concerns(self, method: str, params: list[Any]) -> bool:
        """Whether it is about a request or a notification."""
        wanted = self.methods if self.methods is not None else type(self.fault).usual_methods
        return self.left != 0 and (wanted is None or method in wanted) and (self.where is None or self.where(params))

    def hit(self) -> Fault:
        """Use it once."""
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return self.fault

    def drops(self) -> bool:
        """For websockets that end: whether it is time, else one more notification was sent."""
        if not isinstance(self.fault, DroppedWebsocket) or self._sent < self.fault.after:
            self._sent += 1
            return False
        self._sent = 0
        self.hit()
        return True


class Faults:
    """The faults of one node. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._injections: list[Injection] = []

    def inject(self, fault: Fault, *methods: str, count: int | None = None, where: Where | None = None) -> Injection:
        """Let something go wrong for these methods, for a count of times or until it is lifted.

        `where` looks at a request's parameters. For notifications the methods are those of their subscriptions'
        messages, such as `slotNotification`, and `where` sees nothing.
        """
        injection = Injection(self, fault, frozenset(methods) or None, count, where)
        with self._lock:
            self._injections.append(injection)
        return injection

    def remove(self, injection: Injection) -> None:
        """Lift one fault; lifting twice is no mistake."""
        with self._lock:
            self._injections = [other for other in self._injections if other is not injection]

    def lift(self) -> None:
        """Lift all."""
        with self._lock:
            self._injections = []

    def for_request(self, method: str, params: list[Any]) -> list[Fault]:
        """Use every fault that concerns a request."""
        return self._use(method, params, notification=False)

    def for_notification(self, method: str) -> list[Fault]:
        """Use every fault that concerns a notification."""
        return self._use(method, [], notification=True)

    def _use(self, method: str, params: list[Any], *, notification: bool) -> list[Fault]:
        with self._lock:
            concerned = [
                injection
                for injection in self._injections
                if isinstance(injection.fault, NOTIFICATION_FAULTS) is notification
                and not isinstance(injection.fault, DroppedWebsocket)
                and injection.concerns(method, params)
            ]
            return [injection.hit() for injection in concerned]

    def drops(self) -> bool:
        """Whether the websockets end before the next notification, which counts as sent when they do not."""
        with self._lock:
            waiting = [each for each in self._injections if isinstance(each.fault, DroppedWebsocket) and each.left != 0]
            due = [injection.drops() for injection in waiting]
            return any(due)


def has(faults: Iterable[Fault], kind: type[Any]) -> bool:
    """Whether there is a fault of a kind."""
    return any(isinstance(fault, kind) for fault in faults)


def first_of(faults: Iterable[Fault], kind: type[F]) -> F | None:
    """The first fault of a kind."""
    return next((fault for fault in faults if isinstance(fault, kind)), None)
