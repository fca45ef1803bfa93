"""By what a wallet is a member of a margin account, and what is not known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from chains.model import Reason


class MemberKind(StrEnum):
    """By what a wallet belongs to an account, or why not any more.

    `declared`: the configuration says so. `attested`: the wallet signed it. `expired`: it did, for a time that is over. `unchecked`:
    a contract wallet that could not be asked again. `ended`: its contract says otherwise now. `revoked`: the wallet, or the
    operator, took it back. `contested`: it signed for this account, and the configuration declares it in another.
    """

    DECLARED = "declared"
    ATTESTED = "attested"
    EXPIRED = "expired"
    UNCHECKED = "unchecked"
    ENDED = "ended"
    REVOKED = "revoked"
    CONTESTED = "contested"


BELONGING = frozenset({MemberKind.DECLARED, MemberKind.ATTESTED})
"""What a member of these holds and owes counts."""

_OPEN = {
    MemberKind.CONTESTED: "it signed for this account, and the configuration declares it in another: revoke it here, or take it out there",
    MemberKind.EXPIRED: "its signature has expired, and whether it still belongs there is not known: let it sign again, or revoke it",
    MemberKind.UNCHECKED: "its contract could not be asked again whether its signature holds: see to a node that answers, or revoke it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What is known of one CAIP-10 member; `since` and `expires` in Unix seconds.

    `evidence`: the digest of what was signed last, `scheme`: how. `declared`: whether the configuration names it too.
    """

    member: str
    kind: MemberKind
    declared: bool
    since: int | None = None
    expires: int | None = None
    evidence: str | None = None
    scheme: str | None = None

    @property
    def belongs(self) -> bool:
        return self.kind in BELONGING


def open_questions(account: str, memberships: Iterable[Membership]) -> Iterator[Reason]:
    """Say what of an account's members is not known; anything of it makes the account unknown."""
    known = tuple(memberships)
    for each in known:
        if each.kind in _OPEN:
            yield Reason(f"membership_{each.kind}", each.member, _OPEN[each.kind])
        if each.kind is MemberKind.REVOKED and each.declared:
            detail = "the configuration declares it, and its own signature says that it does not belong: take it out of [[account]] members"
            yield Reason("membership_contradicted", each.member, detail)
    if known and not any(each.belongs for each in known):
        yield Reason("account_without_members", account, "no wallet belongs to it at this moment")
