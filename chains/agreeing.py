"""What several nodes say of one account, and what that is worth: agreement at one slot, or a contradiction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple

from chains.model import AccountBytes


class Agreed(StrEnum):
    """What came of asking several nodes for an account.

    `agreed`: two or more say the same as of one slot, and it is what is stored; `changed`: they say the same of one slot, and something
    else was stored for the cut, which is older; `apart`: their answers are of other slots, so that nothing follows; `different`: two say
    different things of one slot, so that one of them is wrong; `unanswered`: fewer than two answered.
    """

    AGREED = "agreed"
    CHANGED = "changed"
    APART = "apart"
    DIFFERENT = "different"
    UNANSWERED = "unanswered"


class NodeAnswer(NamedTuple):
    """What one node says of an account: `node` is its place among the chain's configured ones, from 1 on, `slot` that of its answer.

    `owner`: the program, empty for one that is not there; `sha256`: of the bytes.
    """

    node: int
    slot: int
    owner: bytes
    sha256: bytes
    closed: bool

    @property
    def said(self) -> tuple[bytes, bytes, bool]:
        """What must be the same: lamports may be sent by anybody, and are not."""
        return self.owner, self.sha256, self.closed


class Agreement(NamedTuple):
    """What came of it for the account of a unit; `data`: the bytes, where all that answered said the same, else empty."""

    unit_id: bytes
    outcome: Agreed
    answers: tuple[NodeAnswer, ...]
    data: bytes

    @property
    def slot(self) -> int | None:
        """The slot that all answers are of, `None` where they are not of one."""
        slots = {each.slot for each in self.answers}
        return slots.pop() if len(slots) == 1 else None


def answer_of(node: int, account: AccountBytes) -> NodeAnswer:
    """Return a node's answer by its hash."""
    return NodeAnswer(node, account.slot, account.owner, sha256(account.data).digest(), account.closed)


def agreement(unit_id: bytes, stored: AccountBytes, said: Mapping[int, AccountBytes]) -> Agreement:
    """Compare what nodes say of an account, by their places, with each other and with what is stored of it."""
    answers = tuple(answer_of(node, account) for node, account in sorted(said.items()))
    alike = len({each.said for each in answers}) == 1
    data = next(iter(said.values())).data if alike else b""
    return Agreement(unit_id, outcome_of(answers, answer_of(0, stored)), answers, data)


def outcome_of(answers: Sequence[NodeAnswer], stored: NodeAnswer) -> Agreed:
    """Say what answers are worth beside what is stored; one contradiction outweighs all that agree."""
    if len(answers) < 2:  # noqa: PLR2004 - several
        return Agreed.UNANSWERED
    if any(one.slot == other.slot and one.said != other.said for one, other in combinations(answers, 2)):
        return Agreed.DIFFERENT
    if len({each.slot for each in answers}) > 1:
        return Agreed.APART
    return Agreed.AGREED if answers[0].said == stored.said else Agreed.CHANGED
