"""web3 over a chain's own node pool, so that calls share its retries, failover and error types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from web3 import AsyncWeb3
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chains.rpc import NodePool, RpcFault

_BLOCK: ContextVar[int | None] = ContextVar("block", default=None)


@contextmanager
def at_block(number: int) -> Iterator[None]:
    """Ask nodes that have reached a block, within this context: calls name it by its hash, which does not say how high it is."""
    before = _BLOCK.set(number)
    try:
        yield
    finally:
        _BLOCK.reset(before)


class PoolProvider(AsyncBaseProvider):
    """A web3 provider whose requests go through a `NodePool`."""

    def __init__(self, pool: NodePool) -> None:
        super().__init__()
        self._pool = pool

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - web3's own signature
        """Send one request; a node's refusal comes back as web3 expects it, every other error is raised."""
        (outcome,) = await self._pool.outcomes([(method, params)], block=_BLOCK.get())
        if isinstance(outcome, RpcFault):
            return {"jsonrpc": "2.0", "id": 0, "error": _error(outcome)}
        return {"jsonrpc": "2.0", "id": 0, "result": self._pool.decoded(method, outcome, object)}


def _error(fault: RpcFault) -> Any:  # noqa: ANN401 - web3's own type asks for data
    """Return a refusal as web3 reads it, which takes any error that has `data`, be it `None`, for a contract's revert."""
    reverted = isinstance(fault.data, str) and fault.data.startswith(("0x", "Reverted"))
    return {"code": fault.code, "message": fault.text} | ({"data": fault.data} if reverted else {})


def web3_over(pool: NodePool) -> AsyncWeb3[PoolProvider]:
    """Return a web3 whose calls go through `pool`."""
    return AsyncWeb3(PoolProvider(pool), middleware=[])
