"""Where a contract keeps its numbers: fields of its storage, as Solidity lays them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from eth_hash.auto import keccak

from chains.model import UnitSnapshot, VenueSnapshot
from chains.ports import PositionKey
from chains.proving import Quantity

WORD = 32
WORD_BITS = 256
_ID = 32


class Field(NamedTuple):
    """A field: in slot `base`, or under `keys` in the mapping there, `offset` slots on; `bits` of it from bit `shift` on.

    `keys` are words for what the mapping is of: "unit", "market", or, where a unit is an id of 32 bytes and an owner, "id" and "owner".
    """

    base: int
    keys: tuple[str, ...] = ()
    offset: int = 0
    shift: int = 0
    bits: int = WORD_BITS
    signed: bool = False
    names_contract: bool = False

    def quantity(
        self,
        name: str,
        unit_id: bytes,
        market: bytes,
        ours: int | None,
        *,
        plus: PositionKey | None = None,
        minus: PositionKey | None = None,
    ) -> Quantity:
        """Return the number of a unit that is here."""
        keys = tuple(_word(_PARTS[key](unit_id, market)) for key in self.keys)
        return Quantity(
            name=name,
            market=market,
            base=self.base,
            keys=keys,
            offset=self.offset,
            shift=self.shift,
            bits=self.bits,
            signed=self.signed,
            ours=ours,
            plus=plus,
            minus=minus,
            names_contract=self.names_contract,
        )


_PARTS: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "unit": lambda unit_id, _: unit_id,
    "market": lambda _, market: market,
    "id": lambda unit_id, _: unit_id[:_ID],
    "owner": lambda unit_id, _: unit_id[_ID:],
}


def _word(value: bytes) -> bytes:
    return bytes(max(0, WORD - len(value))) + value


class Stored(NamedTuple):
    """What one contract stores of a unit, by the layout of that name."""

    contract: bytes
    layout: str
    quantities: tuple[Quantity, ...]


class NoLayout(Exception):
    """Where a contract keeps what must be proven of a unit is not known; the message says what."""


Layouts = Mapping[str, Mapping[str, Field]]
"""What a protocol's `slots.py` offers as `LAYOUTS`: layout → name → field."""

OpenSlots = Callable[[VenueSnapshot], Callable[[UnitSnapshot], Sequence[Stored]]]
"""What it offers as `open_slots`: a venue at a block gives the function that names what is stored of its units; raises `NoLayout`."""


def slot_of(quantity: Quantity) -> bytes:
    """Return the slot of a quantity (Solidity: layout of state variables in storage)."""
    place = quantity.base
    for key in quantity.keys:
        place = int.from_bytes(keccak(key + place.to_bytes(WORD)))
    return ((place + quantity.offset) % (1 << WORD_BITS)).to_bytes(WORD)


def number_in(word: int, quantity: Quantity) -> int:
    """Return the number that a word holds."""
    number = (word >> quantity.shift) & ((1 << quantity.bits) - 1)
    negative = quantity.signed and number >> (quantity.bits - 1)
    return number - (1 << quantity.bits) if negative else number
