"""What Solana nodes call themselves and their troubles.

Codes: agave `rpc-client-api/src/custom_error.rs`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from chains.errors import (
    ChainError,
    HistoryGone,
    NodeBehind,
    NodeBusy,
    NodeLimits,
    NodeWrong,
    TooManyAccounts,
    Unsupported,
    WrongChain,
)
from chains.rpc import Request, RpcFault

CAIP_REFERENCE = 32
"""How many characters of a genesis hash name a chain (CAIP-2, namespace solana)."""

BLOCK_CLEANED_UP = -32001
BLOCK_NOT_AVAILABLE = -32004
NODE_UNHEALTHY = -32005
SLOT_SKIPPED = -32007
HISTORY_NOT_AVAILABLE = -32011
LONG_TERM_SLOT_SKIPPED = -32009
BLOCK_STATUS_NOT_AVAILABLE_YET = -32014
UNSUPPORTED_VERSION = -32015
MIN_CONTEXT_SLOT_NOT_REACHED = -32016
LONG_TERM_UNREACHABLE = -32019
UNKNOWN_TRANSACTION = -32020

SKIPPED = frozenset({SLOT_SKIPPED, LONG_TERM_SLOT_SKIPPED})
"""A node's claim that a slot holds no block, or that it lost it: to be proven by the block above."""

NOT_YET = frozenset({BLOCK_NOT_AVAILABLE, BLOCK_STATUS_NOT_AVAILABLE_YET})
"""A block above what the node has: an answer, and not a reason to ask again at once."""

LISTS = "getProgramAccounts"
SCAN_ERROR = -32012
KEY_EXCLUDED = -32010
METHOD_NOT_FOUND = -32601
TOO_LARGE = 413
_TOO_LONG = {SCAN_ERROR, TOO_LARGE}
_UNLISTED = {KEY_EXCLUDED, METHOD_NOT_FOUND, 403, 410}
_LONG = re.compile(
    r"too many accounts|results exceeded the limit|response (is |size )?(too (large|big)|exceed)|too large|exceeds? .{0,30}(limit|max)"
    r"|entity too large|timed? ?out|narrow|more filters",
    re.IGNORECASE,
)
"""Words of providers and of agave (`accounts_index.rs`: the accumulated scan results exceeded the limit)."""

_DISABLED = re.compile(
    r"disabled|not (available|supported|allowed|enabled|found)|excluded|deprecated|paid|your plan",
    re.IGNORECASE,
)

_BEHIND = {MIN_CONTEXT_SLOT_NOT_REACHED, NODE_UNHEALTHY}
_LIMITED = {429, -32429}
_GONE = {BLOCK_CLEANED_UP, HISTORY_NOT_AVAILABLE}


def _of_lists(chain: str, label: str, fault: RpcFault) -> ChainError | None:
    """Tell a list that is too long from one that the node does not give at all, `None` for what is neither."""
    if fault.code in _TOO_LONG or _LONG.search(fault.text):
        return TooManyAccounts(f"chain {chain}: {label} does not list so many accounts in one answer: {fault.text}")
    if fault.code in _UNLISTED or _DISABLED.search(fault.text):
        return NodeWrong(
            f"chain {chain}: {label} does not list accounts of this program ({LISTS}): {fault.text}; use a node that does"
        )
    return None


class SolanaDialect:
    """Nodes of the cluster whose genesis hash begins with the reference of a CAIP-2 chain."""

    batch = 100
    identity: Request = ("getGenesisHash", ())
    newest: Request | None = None
    """Slots are asked for with `minContextSlot`: nodes say themselves that they are behind."""

    def check(self, chain: str, label: str, served: msgspec.Raw) -> None:
        """Compare genesis hashes."""
        try:
            genesis = msgspec.json.decode(served, type=str)
        except msgspec.DecodeError as error:
            raise NodeWrong(f"{label} gave no genesis hash") from error
        if genesis[:CAIP_REFERENCE] != chain.partition(":")[2]:
            message = (
                f"chain {chain}: {label} serves solana:{genesis[:CAIP_REFERENCE]};"
                " correct `rpc` or `id` of this [[chain]]"
            )
            raise WrongChain(message)

    def error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        """Tell a node that is behind, or limits, or forgot, from one that refuses."""
        if method == LISTS and fault.code not in _LIMITED | _BEHIND:
            return _of_lists(chain, label, fault) or self._error(chain, label, method, fault)
        return self._error(chain, label, method, fault)

    def _error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        if fault.code in _LIMITED:
            return NodeLimits(f"{label} limits the request rate: {fault.text}")
        if fault.code in _BEHIND:
            return NodeBehind(f"{label} is behind ({method}): {fault.text}")
        if fault.code in _GONE:
            return HistoryGone(
                f"chain {chain}: {label} does not keep what {method} asks for: {fault.text};"
                " use a node with the whole history, or a later `start_block`"
            )
        if fault.code == UNSUPPORTED_VERSION:
            return Unsupported(
                f"chain {chain}: {label}, {method}: {fault.text}; a newer version of this program is needed"
            )
        if fault.code == LONG_TERM_UNREACHABLE:
            return NodeBusy(f"{label} cannot reach its long-term storage: {fault.text}")
        return fault

    def named(self, method: str, params: Sequence[object]) -> int | None:
        """Return nothing: see `newest`."""
        del method, params
        return None

    def must_reach(self, method: str) -> bool:
        """Return that no method leaves out the end."""
        del method
        return False

    def lacks(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return nothing: a slot may hold no block."""
        del method, params, result
        return None

    def told(self, method: str, params: Sequence[object], result: msgspec.Raw) -> int | None:
        """Return nothing: see `newest`."""
        del method, params, result
        return None
