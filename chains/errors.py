"""What can go wrong, by what to do about it.

| error              | kind      | met when                                                  |
|--------------------|-----------|-----------------------------------------------------------|
| `NodeBusy`         | try again | time-out, refused connection, server error                |
| `NodeLimits`       | try again | a `NodeBusy`: more requests than the node allows          |
| `NodeBehind`       | try again | a `NodeBusy`: the node has not reached a block, or lags   |
| `NoOtherNode`      | try again | a `NodeBusy`: none but the nodes that were ruled out      |
| `NodeWrong`        | another   | malformed answer, missing block, stale replica            |
| `RangeTooWide`     | ask less  | a `NodeWrong`: too many blocks or logs in one answer      |
| `TooManyAddresses` | ask less  | a `NodeWrong`: too many addresses or topics in a question |
| `TooManyAccounts`  | ask less  | a `NodeWrong`: too many accounts in one answer            |
| `Contradicted`     | read anew | a `NodeWrong`: evidence speaks against what was taken in  |
| `WrongChain`       | stop      | the node serves another chain than the configured one     |
| `NoContract`       | stop      | nothing, or something else, is at a configured address    |
| `DeepFork`         | stop      | the chain left a block that was final for this store      |
| `HistoryGone`      | stop      | no node has the state of a block that is needed           |
| `Unsupported`      | stop      | a protocol version or contract that is not known exactly  |
| `FollowedElsewhere`| stop      | another service follows the chain, and no node is known   |

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


class NodeLimits(NodeBusy):
    """The node was asked more often than it allows."""


class NodeBehind(NodeBusy):
    """The node has not reached a block that others have, went back, or lags."""


class NoOtherNode(NodeBusy):
    """A question was to go to a node other than some, and there is none."""


class NodeWrong(ChainError):
    """The node answered, and the answer cannot be used."""


class RangeTooWide(NodeWrong):
    """The node refuses so many blocks or logs in one answer.

    `limit`: the most blocks in one request, as the node said or as the range that it suggests implies; `results`: likewise the
    most logs in one answer; both `None` where it did not say. `lasting`: it is the number of blocks that the node minds, whatever
    they hold. `node`: the label of the node.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: int | None = None,
        results: int | None = None,
        lasting: bool = False,
        node: str = "",
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.results = results
        self.lasting = lasting
        self.node = node


class TooManyAddresses(NodeWrong):
    """The node refuses so many addresses, or topics, in one question; `node` is its label."""

    def __init__(self, message: str, *, node: str = "") -> None:
        super().__init__(message)
        self.node = node


class TooManyAccounts(NodeWrong):
    """The node refuses to list so many accounts of a program in one answer."""


class Contradicted(NodeWrong):
    """Evidence speaks against what was taken in of blocks that are not final here yet; they must be read anew."""


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


class FollowedElsewhere(Stop):
    """Another service follows the chain and has its nodes: only there can it be asked."""
