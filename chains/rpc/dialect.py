"""What differs between families of nodes, and what an answer to one request is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from chains.errors import ChainError

Request = tuple[str, Sequence[object]]
"""A method and its parameters."""


class RpcFault(ChainError):
    """A node's own error answer to one request: `code`, `text` and `data` as it gave them."""

    def __init__(self, message: str, *, code: int, text: str, data: object) -> None:
        super().__init__(message)
        self.code = code
        self.text = text
        self.data = data


Outcome = msgspec.Raw | RpcFault


class Answered(NamedTuple):
    """Raw results and refusals in the order of the requests, and the label of the node that gave all of them."""

    outcomes: list[Outcome]
    node: str


class Dialect(Protocol):
    """How a family of nodes is asked which chain it serves and how far it is, and what its errors mean."""

    @property
    def batch(self) -> int:
        """The most requests in one JSON-RPC batch."""
        ...

    @property
    def identity(self) -> Request:
        """The request that tells which chain a node serves."""
        ...

    @property
    def newest(self) -> Request | None:
        """The request for the number of the newest block, where numbers of blocks tell which node lags."""
        ...

    def check(self, chain: str, label: str, served: msgspec.Raw) -> None:
        """Compare the answer to `identity`; raises `WrongChain`, `NodeWrong`."""
        ...

    def error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        """Return what a node's own error means; the fault itself where it is an answer to the question."""
        ...

    def named(self, method: str, params: Sequence[object]) -> int | None:
        """Return the highest block that a question names by its number."""
        ...

    def must_reach(self, method: str) -> bool:
        """Tell whether a node that has not reached the named block would answer with less than there is, and not say so."""
        ...

    def lacks(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return the number of the block that was asked for and that the node does not have."""
        ...

    def told(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return the number of the newest block, where that was asked for."""
        ...
