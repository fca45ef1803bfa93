"""What EVM nodes call themselves and their troubles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from chains.errors import (
    ChainError,
    HistoryGone,
    NodeBehind,
    NodeLimits,
    NodeWrong,
    RangeTooWide,
    TooManyAddresses,
    WrongChain,
)
from chains.evm.refusals import beyond, history_gone, too_many_addresses, too_much, too_often
from chains.rpc import Request, RpcFault

LOGS = "eth_getLogs"
BLOCK = "eth_getBlockByNumber"
NUMBER = "eth_blockNumber"

_NAMES_BLOCK: Mapping[str, int] = MappingProxyType(
    {
        BLOCK: 0,
        "eth_getBlockReceipts": 0,
        "eth_call": 1,
        "eth_getCode": 1,
        "eth_getBalance": 1,
        "eth_getStorageAt": 2,
        "eth_getProof": 2,
    }
)
"""Method → the place of its parameter that says which block is meant."""

_HASH = len("0x") + 64
_LIMITS_CODES = frozenset({-32005, -32029, -32097, -32429, 429})
_SENTENCED = re.compile("revert", re.IGNORECASE)
_REVERTED = 3


class _Numbered(msgspec.Struct):
    number: str


_HEADER = msgspec.json.Decoder(_Numbered)
_TEXT = msgspec.json.Decoder(str)


class EvmDialect:
    """Nodes of the chain with an EIP-155 number."""

    batch = 500
    identity: Request = ("eth_chainId", ())
    newest: Request | None = (NUMBER, ())

    def __init__(self, number: int) -> None:
        self._number = number

    def check(self, chain: str, label: str, served: msgspec.Raw) -> None:
        """Compare chain ids."""
        number = _quantity(served)
        if number is None:
            raise NodeWrong(f"{label} gave no hexadecimal number for its chain id")
        if number != self._number:
            message = (
                f"chain {chain}: {label} serves chain id {number}, the configuration says {self._number};"
                " correct `rpc` or `id` of this [[chain]]"
            )
            raise WrongChain(message)

    def error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        """Tell limits of range, of rate and of history from refusals; what a contract says is none of them, whatever it says.

        A block that is not known is no error but `null`; where it is one, the node does not know the tag that was asked for.
        """
        text = fault.text
        if method == "eth_call" and (fault.code == _REVERTED or _SENTENCED.search(text)):
            return fault
        if method != BLOCK and beyond(text):
            return NodeBehind(f"{label} does not know the block ({method}): {text}")
        if method == LOGS and (too_wide := _too_wide(label, text)) is not None:
            return too_wide
        if fault.code in _LIMITS_CODES or too_often(text):
            return NodeLimits(f"{label} limits the request rate: {text}")
        if history_gone(text):
            return HistoryGone(f"chain {chain}: {label} has no state for the block: {text}; use an archive node")
        return fault

    def named(self, method: str, params: Sequence[object]) -> int | None:
        """Return the highest block that a question names by its number."""
        match method, *params:
            case "eth_getLogs", {"toBlock": str(last)}:
                return _number(last)
            case str(), *given if (place := _NAMES_BLOCK.get(method)) is not None and place < len(given):
                return _number(given[place])
        return None

    def must_reach(self, method: str) -> bool:
        """Tell of logs: nodes leave out without a word what is above their head."""
        return method == LOGS

    def lacks(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return the number of a block that is not there."""
        if method in {BLOCK, "eth_getBlockReceipts"} and bytes(result) == b"null":
            return self.named(method, params)
        return None

    def told(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return the number of the newest block, where that was asked for."""
        if method == NUMBER:
            return _quantity(result)
        if method == BLOCK and params and params[0] == "latest":
            return _height(result)
        return None


def _too_wide(label: str, text: str) -> ChainError | None:
    if too_many_addresses(text):
        return TooManyAddresses(f"{label} refuses so many addresses or topics: {text}", node=label)
    much = too_much(text)
    if much is None:
        return None
    return RangeTooWide(
        f"{label} refuses the span: {text}", limit=much.limit, results=much.results, lasting=much.lasting, node=label
    )


def _number(said: object) -> int | None:
    """Return the number that names a block, `None` for a tag or a hash."""
    match said:
        case {"blockNumber": str(text)} | str(text) if text.startswith("0x") and len(text) != _HASH:
            try:
                return int(text, 16)
            except ValueError:
                return None
    return None


def _quantity(raw: msgspec.Raw) -> int | None:
    try:
        return _number(_TEXT.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _height(raw: msgspec.Raw) -> int | None:
    try:
        return _number(_HEADER.decode(raw).number)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
