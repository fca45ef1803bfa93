"""What a refused call means, as web3 reads it: each node has its own way of saying that a contract reverted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from eth_abi.exceptions import DecodingError
from web3 import AsyncWeb3
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chains.evm.logs import unhex
from chains.rpc import RpcFault

DEPTH = 1_000
"""How deep calls may go: py_ecc, which web3 brings along, allows 100,000, and nested JSON of a stranger then ends the process."""

sys.setrecursionlimit(DEPTH)


class _Refusing(AsyncBaseProvider):
    """A node that gives one refusal to whatever it is asked."""

    def __init__(self, fault: RpcFault) -> None:
        super().__init__()
        self._fault = fault

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - web3's own signature
        """Refuse."""
        del method, params
        return {"jsonrpc": "2.0", "id": 0, "error": _error(self._fault)}


def _error(fault: RpcFault) -> Any:  # noqa: ANN401 - web3's own type asks for data
    """Return a refusal as web3 reads it, which takes any error that has `data`, be it `None`, for a contract's revert."""
    reverted = isinstance(fault.data, str) and fault.data.startswith(("0x", "Reverted"))
    return {"code": fault.code, "message": fault.text} | ({"data": fault.data} if reverted else {})


async def revert_of(fault: RpcFault, call: Mapping[str, str]) -> bytes | None:
    """Return the data of a contract's revert that a node gave for its answer to a call, `None` for another refusal."""
    web3 = AsyncWeb3(_Refusing(fault), middleware=[])
    try:
        await web3.eth.call(call, ccip_read_enabled=False)  # type: ignore[arg-type]  # as JSON-RPC takes it
    except ContractLogicError as error:
        return _data(error.data)
    except Web3RPCError:
        return None
    except (LookupError, ValueError, DecodingError):  # what web3 raises over data that only looks like a compiler's
        return _data(fault.data)
    raise AssertionError("a refusal is an error")


def _data(said: object) -> bytes:
    try:
        return unhex(said) if isinstance(said, str) else b""
    except ValueError:
        return b""
