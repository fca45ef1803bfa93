"""From what was signed, revoked and checked to who belongs to an account at a moment: a pure function of the ledger.

A signature by a key speaks for its address on every chain of its family, a contract's for the one chain on which it was asked. Of
what was said about a member the last that had come in by the moment counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aggregator.margin.member import MemberKind, Membership
from aggregator.membership.message import Action
from aggregator.membership.proof import CONTRACT_SCHEMES, Scheme
from chains.identifiers import Account, namespace_of, parse_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a contract said of a signature after a block; `time` is the block's."""

    time: int
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A message that was taken in at `received_at`, with the checks of a contract's in the order of their blocks."""

    account: str
    wallet: Account
    action: Action
    scheme: Scheme
    digest: str
    nonce: str
    issued_at: int
    expires_at: int
    received_at: int
    checks: tuple[Check, ...] = ()

    @property
    def by_contract(self) -> bool:
        return self.scheme in CONTRACT_SCHEMES

    def speaks_for(self, member: Account) -> bool:
        """Whether this is about a member."""
        if member.address != self.wallet.address:
            return False
        if self.by_contract:
            return member.chain_id == self.wallet.chain_id
        return namespace_of(member.chain_id) == namespace_of(self.wallet.chain_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When membership is asked for, on which chains, and after how many seconds a contract's last yes is too old."""

    time: int
    chains: Sequence[str]
    trusted_s: int


def memberships(
    account: str, declared: Iterable[str], ledger: Iterable[Evidence], moment: Moment
) -> tuple[Membership, ...]:
    """Return what is known of every wallet that was ever declared or linked to an account, declared ones first."""
    named = tuple(dict.fromkeys(str(parse_account(member)) for member in declared))
    told = [each for each in ledger if each.account == account and each.received_at <= moment.time]
    linked = {
        str(Account(chain_id, each.wallet.address))
        for each in told
        for chain_id in moment.chains
        if each.speaks_for(Account(chain_id, each.wallet.address))
    }
    members = (*named, *sorted(linked - set(named)))
    return tuple(_standing(member, told, moment, declared=member in named) for member in members)


def _standing(member: str, told: Sequence[Evidence], moment: Moment, *, declared: bool) -> Membership:
    about = [each for each in told if each.speaks_for(parse_account(member))]
    if not about:
        return Membership(member=member, kind=MemberKind.DECLARED, declared=True)
    last = about[-1]
    kind = _kind(last, moment)
    if declared and _falls_back(last, kind):
        kind = MemberKind.DECLARED
    return Membership(
        member=member,
        kind=kind,
        declared=declared,
        since=last.received_at,
        expires=last.expires_at if last.action is Action.LINK else None,
        evidence=last.digest,
        scheme=last.scheme.value,
    )


def _falls_back(last: Evidence, kind: MemberKind) -> bool:
    """Whether only the configuration's word is left: what ended by itself or by the operator does not contradict it."""
    if kind is MemberKind.REVOKED:
        return last.scheme is Scheme.OPERATOR
    return kind in {MemberKind.EXPIRED, MemberKind.UNCHECKED, MemberKind.ENDED}


def _kind(last: Evidence, moment: Moment) -> MemberKind:
    if last.action is Action.REVOKE:
        return MemberKind.REVOKED
    if last.by_contract and any(not check.valid for check in last.checks if check.time <= moment.time):
        return MemberKind.ENDED
    if moment.time >= last.expires_at:
        return MemberKind.EXPIRED
    return MemberKind.ATTESTED if not last.by_contract or _is_fresh(last, moment) else MemberKind.UNCHECKED


def _is_fresh(last: Evidence, moment: Moment) -> bool:
    asked = [check.time for check in last.checks if check.time <= moment.time]
    return bool(asked) and moment.time - max(asked) <= moment.trusted_s
