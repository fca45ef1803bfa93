"""What is to be proven of units, and what nodes' answers prove of it: pure functions of a venue at a block and of what was said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chains.auditing import Reply
from chains.evm.evidence.rlp import Item, encode
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.layout import NoLayout, OpenSlots, Stored, number_in, slot_of
from chains.evm.proofs.rlp import decode
from chains.evm.proofs.states import state_root, storage_root, word_at
from chains.model import UnitSnapshot, VenueSnapshot
from chains.proving import Proved, Quantity, StateProof

GET_PROOF, HEADER, VIEWS = "eth_getProof", "header", "views"
RETURNED, REFUSED = "returned", "refused"
EQUAL, DIFFERENT = "equal", "different"
"""Whether a unit's own views say what the journals do, where its storage does not."""

SLOTS_AT_ONCE = 64
NOT_ASKED = "no node was asked at this block"

Nodes = tuple[bytes, ...]


class Ask(NamedTuple):
    """A contract and the slots of it that one request asks for."""

    contract: bytes
    slots: tuple[bytes, ...]

    @property
    def key(self) -> tuple[bytes, str, bytes]:
        """How the answer is stored."""
        return self.contract, GET_PROOF, b"".join(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be proven: of each unit what contracts store of it, or why that is not known."""

    snapshot: VenueSnapshot
    units: Sequence[tuple[UnitSnapshot, Sequence[Stored] | str]]

    @property
    def header(self) -> tuple[bytes, str, bytes]:
        """How the header of the block is stored."""
        return b"", HEADER, self.snapshot.at.hash

    def asks(self) -> list[Ask]:
        """Return all requests, those of one contract together."""
        slots: dict[bytes, set[bytes]] = {}
        for stored in self._stored():
            slots.setdefault(stored.contract, set()).update(map(slot_of, stored.quantities))
        return [
            Ask(contract, tuple(some[start : start + SLOTS_AT_ONCE]))
            for contract, some in ((contract, sorted(found)) for contract, found in sorted(slots.items()))
            for start in range(0, len(some), SLOTS_AT_ONCE)
        ]

    def _stored(self) -> Iterator[Stored]:
        for _, stored in self.units:
            if not isinstance(stored, str):
                yield from stored


def plan_of(snapshot: VenueSnapshot, units: Iterable[UnitSnapshot], open_slots: OpenSlots | None) -> Plan:
    """Name what is to be proven of units; `open_slots`: the protocol's own, `None` where its folder has none."""
    if open_slots is None:
        why = "where this protocol's contracts keep their numbers is not known"
        return Plan(snapshot=snapshot, units=[(unit, why) for unit in units])
    try:
        stored_of = open_slots(snapshot)
    except NoLayout as error:
        return Plan(snapshot=snapshot, units=[(unit, str(error)) for unit in units])
    found: list[tuple[UnitSnapshot, Sequence[Stored] | str]] = []
    for unit in units:
        try:
            found.append((unit, stored_of(unit)))
        except NoLayout as error:
            found.append((unit, str(error)))
    return Plan(snapshot=snapshot, units=found)


class Proof(NamedTuple):
    """An answer to an `Ask`: nodes from the state root to the account, and by slot from there to the word."""

    account: Nodes
    storage: Mapping[bytes, Nodes]

    def packed(self) -> bytes:
        """Write it as it is stored: RLP of both."""
        return encode([self.account, [[slot, nodes] for slot, nodes in sorted(self.storage.items())]])

    @classmethod
    def unpacked(cls, raw: bytes) -> Proof:
        """Read it back; raises `BadProof`."""
        try:
            account, storage = _items(decode(raw))
            slots = [_items(each) for each in _items(storage)]
            return cls(_nodes(account), {_raw(slot): _nodes(nodes) for slot, nodes in slots})
        except ValueError as error:
            raise BadProof("what was stored is no proof") from error


def _nodes(item: Item) -> Nodes:
    return tuple(map(_raw, _items(item)))


def _items(item: Item) -> Sequence[Item]:
    if isinstance(item, bytes):
        raise BadProof("bytes stand where a list must be")
    return item


def _raw(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise BadProof("a list stands where a node must be")
    return item


def words_of(ask: Ask, proof: Proof, root: bytes) -> dict[bytes, int]:
    """Return the words that a proof proves against a state root; raises `BadProof` where one of them is not."""
    storage = storage_root(root, ask.contract, proof.account)
    if proof.storage.keys() != set(ask.slots):
        raise BadProof(f"account 0x{ask.contract.hex()}: not the slots that were asked for")
    return {slot: word_at(storage, slot, nodes) for slot, nodes in proof.storage.items()}


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What is proven of contracts at a block, and why what is not is not."""

    header: bytes = b""
    accounts: dict[bytes, Nodes] = field(default_factory=dict)
    storage: dict[tuple[bytes, bytes], Nodes] = field(default_factory=dict)
    words: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    refusals: dict[bytes, str] = field(default_factory=dict)
    missing: str = NOT_ASKED

    @classmethod
    def of(cls, plan: Plan, replies: Sequence[Reply]) -> Evidence:
        """Weigh what was said; nothing raises: what does not hold is a refusal that says why."""
        said = {reply[:3]: reply for reply in replies}
        found = cls()
        header = said.get(plan.header)
        if header is None or header.outcome != RETURNED:
            found.missing = NOT_ASKED if header is None else header.output.decode()
            return found
        try:
            root = state_root(header.output, plan.snapshot.at)
        except BadProof as error:
            found.missing = str(error)
            return found
        found.header = header.output
        for ask in plan.asks():
            found._take(ask, said.get(ask.key), root)
        return found

    def _take(self, ask: Ask, reply: Reply | None, root: bytes) -> None:
        if reply is None or reply.outcome != RETURNED:
            self.refusals[ask.contract] = NOT_ASKED if reply is None else reply.output.decode()
            return
        try:
            proof = Proof.unpacked(reply.output)
            words = words_of(ask, proof, root)
        except BadProof as error:
            self.refusals[ask.contract] = str(error)
            return
        self.accounts[ask.contract] = proof.account
        self.storage |= {(ask.contract, slot): nodes for slot, nodes in proof.storage.items()}
        self.words |= {(ask.contract, slot): word for slot, word in words.items()}


def judged(plan: Plan, replies: Sequence[Reply]) -> list[StateProof]:
    """Return what was proven of each unit and contract, by unit."""
    evidence = Evidence.of(plan, replies)
    confirmed = {reply.input for reply in replies if reply.method == VIEWS and reply.outcome == EQUAL}
    found = []
    for unit, stored in plan.units:
        if isinstance(stored, str):
            found.append(_without(unit, plan.snapshot.venue.address, "", Proved.NO_LAYOUT, stored))
            continue
        found += [_judged(unit, each, evidence, confirmed=unit.unit_id in confirmed) for each in stored]
    return found


def different(plan: Plan, replies: Sequence[Reply]) -> list[UnitSnapshot]:
    """Return the units of which storage proves other numbers than the journals have."""
    odd = {proof.unit_id for proof in judged(plan, replies) if proof.outcome is Proved.DIFFERENT}
    return [unit for unit, _ in plan.units if unit.unit_id in odd]


def _judged(unit: UnitSnapshot, stored: Stored, evidence: Evidence, *, confirmed: bool) -> StateProof:
    slots = [(stored.contract, slot_of(quantity)) for quantity in stored.quantities]
    if not evidence.words.keys() >= set(slots):
        why = evidence.refusals.get(stored.contract, evidence.missing)
        return _without(unit, stored.contract, stored.layout, Proved.UNANSWERED, why)
    quantities = tuple(
        quantity._replace(number=number_in(evidence.words[slot], quantity))
        for quantity, slot in zip(stored.quantities, slots, strict=True)
    )
    outcome, detail = _outcome(quantities, confirmed=confirmed)
    if outcome is Proved.NO_LAYOUT:
        return _without(unit, stored.contract, stored.layout, outcome, detail)
    return StateProof(
        unit_id=unit.unit_id,
        contract=stored.contract,
        layout=stored.layout,
        outcome=outcome,
        detail=detail,
        header=evidence.header,
        account=evidence.accounts[stored.contract],
        storage={slot: evidence.storage[contract, slot] for contract, slot in slots},
        quantities=quantities,
    )


def _outcome(quantities: Sequence[Quantity], *, confirmed: bool) -> tuple[Proved, str]:
    odd = [each for each in quantities if each.ours is not None and each.ours != each.number]
    if odd and confirmed:
        return Proved.NO_LAYOUT, f"{_told(odd[0])}; the contract's own views answer what the journals say"
    if odd:
        return Proved.DIFFERENT, _told(odd[0])
    unknown = sorted({each.name for each in quantities if each.ours is None})
    if unknown:
        return Proved.UNKNOWN, f"the journals do not know {', '.join(unknown)}"
    return Proved.PROVEN, ""


def _told(quantity: Quantity) -> str:
    return (
        f"{quantity.name} is {quantity.number} in slot 0x{slot_of(quantity).hex()}, and {quantity.ours} in the journals"
    )


def _without(unit: UnitSnapshot, contract: bytes, layout: str, outcome: Proved, why: str) -> StateProof:
    return StateProof(
        unit_id=unit.unit_id,
        contract=contract,
        layout=layout,
        outcome=outcome,
        detail=why,
        header=b"",
        account=(),
        storage={},
        quantities=(),
    )
