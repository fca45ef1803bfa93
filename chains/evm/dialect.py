"""What EVM nodes call themselves and their troubles."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from chains.errors import ChainError, HistoryGone, NodeBusy, NodeWrong, RangeTooWide, WrongChain
from chains.rpc import RpcFault

_RANGE = re.compile(
    r"block range|range (is )?too|too (many|large)|more than \d+|exceed\w* .*(range|results|logs|size)"
    r"|response size|limited to|maximum .*blocks",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"missing trie node|state .*(unavailable|not available|pruned)|historical state|block.*out of range", re.IGNORECASE
)
_BUSY_CODES = {-32005, -32097, 429}


class EvmDialect:
    """Nodes of the chain with an EIP-155 number."""

    batch = 500
    identity: tuple[str, Sequence[object]] = ("eth_chainId", ())

    def __init__(self, number: int) -> None:
        self._number = number

    def check(self, chain: str, label: str, served: msgspec.Raw) -> None:
        """Compare chain ids."""
        number = _quantity(served)
        if number != self._number:
            message = (
                f"chain {chain}: {label} serves chain id {number}, the configuration says {self._number};"
                " correct `rpc` or `id` of this [[chain]]"
            )
            raise WrongChain(message)

    def error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        """Tell limits of range, of rate and of history from refusals."""
        text = fault.text
        if method == "eth_getLogs" and (_RANGE.search(text) or "range" in text):
            return RangeTooWide(f"{label} refuses the span: {text}")
        if fault.code in _BUSY_CODES:
            return NodeBusy(f"{label} limits the request rate: {text}")
        if _GONE.search(text):
            return HistoryGone(f"chain {chain}: {label} has no state for the block: {text}; use an archive node")
        return fault


def _quantity(raw: msgspec.Raw) -> int:
    try:
        return int(msgspec.json.decode(raw, type=str), 16)
    except (msgspec.DecodeError, ValueError) as error:
        raise NodeWrong("a node gave no hexadecimal number for its chain id") from error
