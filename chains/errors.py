"""What can go wrong, by what to do about it.

| error          | kind      | met when                                                  |
|----------------|-----------|-----------------------------------------------------------|
| `NodeBusy`     | try again | rate limit, time-out, refused connection                  |
| `NodeWrong`    | another   | malformed answer, missing block, stale replica            |
| `RangeTooWide` | ask less  | a `NodeWrong`: too many blocks or logs in one answer      |
| `WrongChain`   | stop      | the node serves another chain than the configured one     |
| `NoContract`   | stop      | nothing, or something else, is at a configured address    |
| `DeepFork`     | stop      | the chain left a block that was final for this store      |
| `HistoryGone`  | stop      | no node has the state of a block that is needed           |
| `Unsupported`  | stop      | a protocol version or contract that is not known exactly  |

Those of kind stop are `Stop`; all are `ChainError`.
"""

from __future__ import annotations


class ChainError(Exception):
    """Anything that a chain adapter may raise; the message says what, where and what to do."""


class NodeBusy(ChainError):
    """The node did not answer for now; `retry_after` is its own wish in seconds, if it gave one."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NodeWrong(ChainError):
    """The node answered, and the answer cannot be used."""


class RangeTooWide(NodeWrong):
    """The node refuses so many blocks or logs in one answer."""


class Stop(ChainError):
    """Neither time nor another node mends this."""


class WrongChain(Stop):
    """The node serves another chain than the configured one."""


class NoContract(Stop):
    """Nothing usable is deployed at a configured address."""


class DeepFork(Stop):
    """The chain left a block that this store held to be final."""


class HistoryGone(Stop):
    """No node has the state of a block that must be read."""


class Unsupported(Stop):
    """A protocol version or contract that is not known exactly, and so is not approximated."""
