"""What a node can prove of a unit's state at a block, and what came of asking for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from chains.identifiers import format_address, format_hash
from chains.model import Block, UnitSnapshot, VenueSpec
from chains.ports import PositionKey


class Proved(StrEnum):
    """What came of a proof.

    `proven`: the words of the contract's storage are the journals' numbers; `different`: they are others, and the contract's own views say
    so too, or say nothing; `unanswered`: no node gave a proof that holds; `unknown`: a number is not known here; `no_layout`: where the
    contract keeps its numbers is not known.
    """

    PROVEN = "proven"
    DIFFERENT = "different"
    UNANSWERED = "unanswered"
    UNKNOWN = "unknown"
    NO_LAYOUT = "no_layout"


class Quantity(NamedTuple):
    """A number in a word of a contract's storage: `bits` of it from bit `shift` on, two's complement where `signed`.

    The slot is `base`, hashed with each of `keys` (32-byte words) in turn as Solidity's mappings are, plus `offset`. `ours`: what the
    journals say, `None` where they do not know; `number`: what was proven. It is the raw amount of the position `plus` less that of
    `minus`, where these are given. `names_contract`: the number is the address of a contract that has the market's other quantities.
    """

    name: str
    market: bytes
    base: int
    keys: tuple[bytes, ...]
    offset: int
    shift: int
    bits: int
    signed: bool
    ours: int | None
    plus: PositionKey | None = None
    minus: PositionKey | None = None
    names_contract: bool = False
    number: int | None = None


class StateProof(NamedTuple):
    """What one contract stores of a unit, with the way from the block's hash to each word; see `docs/snapshots.md`.

    `header`: the block's header in RLP; `account`: nodes from its state root to the contract; `storage`: slot → nodes from there to the
    word. All are empty where nothing was proven.
    """

    unit_id: bytes
    contract: bytes
    layout: str
    outcome: Proved
    detail: str
    header: bytes
    account: tuple[bytes, ...]
    storage: Mapping[bytes, tuple[bytes, ...]]
    quantities: tuple[Quantity, ...]


def sampled(venue: VenueSpec, at: Block, units: Iterable[UnitSnapshot], count: int | None) -> list[UnitSnapshot]:
    """Choose units of a venue by chance that nobody knew before the block, and everybody can repeat after it; `None`: all."""
    order = sample_order(format_hash(venue.chain_id, at.hash), venue.id)
    ranked = sorted(units, key=lambda unit: order(format_address(venue.chain_id, unit.unit_id)))
    return sorted(ranked[:count], key=lambda unit: unit.unit_id)


def sample_order(block_hash: str, venue_id: str) -> Callable[[str], bytes]:
    """Return the rank of a unit, as it is written, among those of its venue: who comes first is proven first."""
    return lambda unit_id: sha256(f"{block_hash}|{venue_id}|{unit_id}".encode()).digest()
