"""What a node knows while it answers, and what a request asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from tests.devnet.solana.blocks import Block, Landed, Standing
from tests.devnet.solana.errors import RpcError, invalid
from tests.devnet.solana.faults import Fault, HistoryLag, OmittedBlocks, TruncatedHistory, first_of
from tests.devnet.solana.ledger import Ledger

COMMITMENTS = ("processed", "confirmed", "finalized")
API_VERSION = "3.0.10"

Params: TypeAlias = list[Any]
Config: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a node knows while it answers one request."""

    ledger: Ledger
    genesis_hash: Hash
    lag: int
    long_term_storage: bool
    faults: Sequence[Fault] = ()

    @property
    def standing(self) -> Standing:
        """Where the node's accounts stand."""
        return self.ledger.standing(self.lag)

    @property
    def history(self) -> Standing:
        """Where the node's blocks and transactions stand."""
        behind = first_of(self.faults, HistoryLag)
        return self.ledger.standing(self.lag + behind.slots) if behind else self.standing

    @property
    def first_slot(self) -> int:
        """The oldest slot of which the node keeps blocks and transactions."""
        cut = first_of(self.faults, TruncatedHistory)
        return max(self.ledger.first_slot, cut.first_slot) if cut else self.ledger.first_slot

    def keeps(self, landed: Landed, newest: Block) -> bool:
        """Whether the node knows a transaction."""
        return self.first_slot <= landed.slot <= newest.slot

    def blocks(self, first: int, last: int) -> list[Block]:
        """The blocks of a span that the node knows and admits."""
        denied = self._denied()
        found = self.ledger.between(max(first, self.first_slot), last)
        return [block for block in found if block.slot not in denied]

    def block(self, slot: int) -> Block | None:
        """The block of a slot that the node admits."""
        return None if slot in self._denied() else self.ledger.block_at(slot)

    def _denied(self) -> frozenset[int]:
        omitted = first_of(self.faults, OmittedBlocks)
        return omitted.omitted if omitted else frozenset()


def argument(params: Params, index: int) -> Any:
    """A parameter that must be there."""
    if index >= len(params):
        raise invalid(f"`params` should have at least {index + 1} argument(s)")
    return params[index]


def config(params: Params, index: int) -> Config:
    """The options, empty when there are none."""
    found = params[index] if index < len(params) else None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise invalid(f"Invalid params: invalid type: {type(found).__name__}, expected options")
    return found


def number(params: Params, index: int) -> int:
    """A slot or a limit."""
    found = argument(params, index)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise invalid(f"Invalid params: invalid value: {found!r}, expected u64")
    return found


def pubkey(text: Any) -> Pubkey:
    """An address."""
    try:
        return Pubkey.from_string(text)
    except (TypeError, ValueError) as error:
        raise invalid(f"Invalid param: {error}") from error


def signature(text: Any) -> str:
    """A signature, as text."""
    try:
        return str(Signature.from_string(text))
    except (TypeError, ValueError) as error:
        raise invalid(f"Invalid param: {error}") from error


def commitment(options: Config) -> str:
    """The commitment asked for; finalized unless said."""
    found = options.get("commitment") or "finalized"
    if found not in COMMITMENTS:
        raise invalid(f"Invalid params: unknown variant `{found}`, expected one of {COMMITMENTS}")
    return str(found)


def settled(options: Config) -> str:
    """A commitment that history is kept for."""
    found = commitment(options)
    if found == "processed":
        raise invalid("Method does not support commitment below `confirmed`")
    return found


def bank(view: View, options: Config) -> Block:
    """The block whose state is asked for. Raises when the node is not yet where the caller has been."""
    block = view.standing.at(commitment(options))
    least = options.get("minContextSlot")
    if least is not None and block.slot < least:
        raise RpcError.context_slot(block.slot)
    return block


def in_context(block: Block, value: Any) -> dict[str, Any]:
    """A value with the slot that it is of."""
    return {"context": {"slot": block.slot, "apiVersion": API_VERSION}, "value": value}
