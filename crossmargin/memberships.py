"""Which wallets belong to which margin account: what is taken in, when contract wallets are asked again, and who belongs at a moment.

A signed message is taken in when all of this holds, asked in this order:

1. it can be read, strictly, and its wallet can sign so;                    else `UsageError`
2. its account and the chain of its wallet are configured;                  else `NoSuchThing`
   it is meant for this operator (`[membership] operator`);                 else `NotForUs`
3. its wallet signed it: the key did, or the contract says so at a block;   else `NotSigned`
4. it was issued up to five minutes ahead of this machine's clock, and has not expired;   else `OutOfTime`
5. its nonce is new for this wallet and account;                            else `Replayed`
6. it was issued after all that was taken in of this wallet and account;    else `Outdated`
7. its wallet belongs to no other account; or, to revoke, to this one.      else `Conflict`, `NoSuchThing`
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aggregator.margin.canonical import digest_of
from aggregator.margin.health import membership_view
from aggregator.margin.inputs import Cut, MarginAccount
from aggregator.margin.member import MemberKind, Membership
from aggregator.membership.envelope import Envelope, parse_envelope
from aggregator.membership.message import Action
from aggregator.membership.proof import CONTRACT_SCHEMES, Scheme, signed_by_key
from aggregator.membership.standing import Check, Evidence, Moment, memberships
from chains.errors import ChainError
from chains.identifiers import (
    Account,
    parse_account,
)
from chains.model import Block
from chains.ports import Chain
from crossmargin.contract_wallets import Asked, asked_of, header_of
from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import NoSuchThing, NotStored, UsageError
from crossmargin.refusals import Conflict, NotSigned, Outdated, OutOfTime, Replayed
from crossmargin.settings import Settings
from crossmargin.wallets import NONCE_BYTES, check_known, check_operator, envelope_of, wallet_of
from crossmargin.watch import Clock
from indexer.store import CheckRow, EvidenceRow, Reader, Store

EARLY_S = 300
"""How far ahead of this machine's clock another one may be."""
FINALITY_S = 3600
"""How far the newest final block may be behind."""

Connect = Callable[[str], Chain]


class Memberships:
    """The ledger of one store, over the accounts of a configuration."""

    def __init__(self, settings: Settings, store: Store, connect: Connect, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._connect = connect
        self._clock = clock
        self._chains = tuple(chain.spec.id for chain in settings.chains)

    def accounts(self, reader: Reader, time: int) -> tuple[MarginAccount, ...]:
        """Return the configured accounts with those that belong to them at a moment."""
        ledger = evidence_of(reader)
        known = {account.id: self._known(account.id, ledger, time) for account in self._settings.accounts}
        holders = Counter(each.member for members in known.values() for each in members if each.belongs)
        return tuple(
            _account(name, tuple(_weighed(each, holders) for each in members)) for name, members in known.items()
        )

    def chains_by(self, reader: Reader) -> Callable[[MarginAccount], set[str]]:
        """Return what tells every chain on which an account has, or ever had, a member."""
        ledger, ever = evidence_of(reader), self._moment(2**62)

        def chains_of(account: MarginAccount) -> set[str]:
            known = memberships(account.id, account.members, ledger, ever)
            return {parse_account(each.member).chain_id for each in known}

        return chains_of

    def evidence(self, reader: Reader, account: str) -> list[dict[str, Any]]:
        """Return what was taken in about an account, oldest first."""
        checks = reader.membership_checks()
        return [_line(row, checks) for row in reader.membership_evidence() if row.account_id == account]

    def take_in(self, account: str, text: str, *, who: str) -> Document:
        """Enter a signed message, or nothing, by the rules above."""
        envelope = envelope_of(text)
        message = envelope.message
        if message.account != account:
            raise UsageError(f'the message is of the account "{message.account}", not of "{account}"')
        check_known(self._settings, message.account, message.wallet)
        check_operator(self._settings, message)
        asked = self._proven(envelope)
        now = int(self._clock())
        row = EvidenceRow(
            digest=envelope.digest,
            account_id=account,
            chain_id=message.wallet.chain_id,
            wallet=message.wallet.address,
            action=message.action.value,
            scheme=envelope.scheme.value,
            nonce=message.nonce,
            issued_at=message.issued_at,
            expires_at=message.expires_at,
            received_at=now,
            who=who,
            note="",
            envelope=text,
        )
        self._enter(row, asked)
        return self._told(account, row, now)

    def revoke(self, account: str, wallet: str, *, note: str, who: str) -> Document:
        """Let the operator take a wallet from an account; that nobody signed it is kept with it."""
        member, now = wallet_of(self._settings, account, wallet), int(self._clock())
        nonce = secrets.token_hex(NONCE_BYTES)
        told = f"operator revoked {member} from {account} at {moment(now)}, {nonce}"
        row = EvidenceRow(
            digest=digest_of(told),
            account_id=account,
            chain_id=member.chain_id,
            wallet=member.address,
            action=Action.REVOKE.value,
            scheme=Scheme.OPERATOR.value,
            nonce=nonce,
            issued_at=now,
            expires_at=now,
            received_at=now,
            who=who,
            note=harmless(note),
            envelope=told,
        )
        self._enter(row, None)
        return self._told(account, row, now)

    def check_due(self) -> None:
        """Ask every contract wallet that is due to be asked again, at the newest final block; raises the last `ChainError`."""
        now, every = int(self._clock()), self._settings.membership.check_every_s
        with self._store.reading() as reader:
            rows, checks = reader.membership_evidence(), reader.membership_checks()
            ledger = evidence_of(reader)
        last = {check.digest: check.asked_at for check in checks}
        due = [row for row in self._contracts(rows, ledger, now) if now - last.get(row.digest, 0) >= every]
        self._ask_again(due, self._final_block)

    def check_at(self, cuts: Mapping[str, Cut]) -> None:
        """Ask every contract wallet at the blocks of a cut, once; one whose nodes fail stays as it was."""
        with self._store.reading() as reader:
            rows, checks = reader.membership_evidence(), reader.membership_checks()
            ledger = evidence_of(reader)
        time = max((cut.now for cut in cuts.values()), default=0)
        known = {(check.digest, check.block_number) for check in checks}
        due = [
            row
            for row in self._contracts(rows, ledger, time)
            if row.chain_id in cuts and (row.digest, cuts[row.chain_id].block.number) not in known
        ]
        try:
            self._ask_again(due, lambda chain_id: cuts[chain_id].block)
        except ChainError:
            return

    def _known(self, account: str, ledger: Iterable[Evidence], time: int) -> tuple[Membership, ...]:
        declared = next((each.members for each in self._settings.accounts if each.id == account), ())
        return memberships(account, declared, ledger, self._moment(time))

    def _moment(self, time: int) -> Moment:
        trusted = 2 * self._settings.membership.check_every_s + FINALITY_S
        return Moment(time=time, chains=self._chains, trusted_s=trusted)

    def _contracts(self, rows: Sequence[EvidenceRow], ledger: Sequence[Evidence], time: int) -> list[EvidenceRow]:
        """Return the links by contract wallets that still say who belongs."""
        ids = {row.account_id for row in rows}
        standing = {each.evidence: each.kind for account in ids for each in self._known(account, ledger, time)}
        asked = {MemberKind.ATTESTED, MemberKind.UNCHECKED}
        kinds = {row.digest: standing.get(row.digest) for row in rows if row.scheme in CONTRACT_SCHEMES}
        return [row for row in rows if kinds.get(row.digest) in asked or self._only_declared(row, kinds)]

    def _only_declared(self, row: EvidenceRow, kinds: Mapping[str, MemberKind | None]) -> bool:
        """Whether a signature stands behind a declared member, and may be asked for again before it expires."""
        return kinds.get(row.digest) is MemberKind.DECLARED and row.expires_at > self._clock()

    def _ask_again(self, rows: Iterable[EvidenceRow], block_of: Callable[[str], Block]) -> None:
        failure: ChainError | None = None
        for row in rows:
            envelope = parse_envelope(row.envelope)
            try:
                asked = self._asked(envelope, block_of(row.chain_id))
            except ChainError as error:
                failure = error
                continue
            with self._store.memberships() as ledger:
                ledger.add_check(self._check(row, asked))
        if failure is not None:
            raise failure

    def _proven(self, envelope: Envelope) -> Asked | None:
        """Return what a contract wallet said, nothing of a key; raises `NotSigned`."""
        message = envelope.message
        if envelope.scheme not in CONTRACT_SCHEMES:
            if not signed_by_key(message, envelope.scheme, envelope.signature):
                raise NotSigned(
                    f"the signature is not that of {message.wallet} over this message; nothing was taken in"
                )
            return None
        asked = self._asked(envelope, self._final_block(message.wallet.chain_id))
        if not asked.valid:
            raise NotSigned(
                f"{message.wallet} does not say at block {asked.at.number} that the signature is valid ({asked.reply.outcome}); "
                "nothing was taken in"
            )
        return asked

    def _asked(self, envelope: Envelope, at: Block) -> Asked:
        return asked_of(self._connect(envelope.message.wallet.chain_id), envelope, at)

    def _final_block(self, chain_id: str) -> Block:
        with self._store.reading() as reader:
            cursor = reader.cursor(chain_id)
            held = None if cursor is None else reader.block(chain_id, cursor.finalized)
        if cursor is None or cursor.finalized < 0:
            raise NotStored(f"nothing final of {chain_id} is indexed yet; run `crossmargin index`")
        block = held or header_of(self._connect(chain_id), cursor.finalized)
        if block is None:
            raise ChainError(f"chain {chain_id}: no node gave block {cursor.finalized}")
        return block

    def _enter(self, row: EvidenceRow, asked: Asked | None) -> None:
        with self._store.memberships() as ledger:
            with self._store.reading() as reader:
                known = evidence_of(reader)
            new = _evidence(row, ())
            self._check_time(new)
            self._check_new(new, known)
            self._check_belongs(new, known)
            ledger.add(row)
            if asked is not None:
                ledger.add_check(self._check(row, asked))

    def _check(self, row: EvidenceRow, asked: Asked) -> CheckRow:
        return CheckRow(
            digest=row.digest,
            chain_id=row.chain_id,
            wallet=row.wallet,
            asked_at=int(self._clock()),
            block_number=asked.at.number,
            block_hash=asked.at.hash,
            block_time=asked.at.time,
            input=asked.reply.input,
            outcome=asked.reply.outcome,
            output=asked.reply.output,
            is_valid=asked.valid,
        )

    def _check_time(self, new: Evidence) -> None:
        if new.scheme is Scheme.OPERATOR:
            return
        if new.issued_at > new.received_at + EARLY_S:
            raise OutOfTime(
                f"the message was issued at {moment(new.issued_at)}, and here it is {moment(new.received_at)}: compare clocks"
            )
        if new.expires_at <= new.received_at:
            raise OutOfTime(f"the message expired at {moment(new.expires_at)}; let the wallet sign a new one")

    def _check_new(self, new: Evidence, known: Iterable[Evidence]) -> None:
        for held in known:
            if held.account != new.account or not _same_wallet(held, new):
                continue
            if held.nonce == new.nonce:
                raise Replayed(
                    f"a message of {new.wallet} with this nonce was taken in before; let the wallet sign a new one"
                )
            if _is_older(new, held):
                raise Outdated(
                    f"a later message of {new.wallet}, of {moment(held.issued_at)}, was taken in before, or took it from the account; "
                    "let the wallet sign a new one"
                )

    def _check_belongs(self, new: Evidence, known: Sequence[Evidence]) -> None:
        """Refuse a wallet that would count twice, and to take away what is not there."""
        for account in self._settings.accounts:
            standing = self._known(account.id, known, new.received_at)
            there = [each.member for each in standing if each.belongs and new.speaks_for(parse_account(each.member))]
            linked = [each.member for each in standing if new.speaks_for(parse_account(each.member))]
            if new.action is Action.LINK and account.id != new.account and there:
                raise Conflict(
                    f'{there[0]} belongs to the account "{account.id}", and would count twice; revoke it there first'
                )
            if new.action is Action.REVOKE and account.id == new.account and not linked:
                raise NoSuchThing(f'{new.wallet} is no member of "{account.id}", so there is nothing to revoke')

    def _told(self, account: str, row: EvidenceRow, now: int) -> Document:
        with self._store.reading() as reader:
            (known,) = [each for each in self.accounts(reader, now) if each.id == account]
            line = next(each for each in self.evidence(reader, account) if each["evidence"] == row.digest)
        return {"account": account, **line, "membership": membership_document(known)}


def membership_document(account: MarginAccount) -> dict[str, Any]:
    """Write what is known of each member."""
    return {each.member: membership_view(each).model_dump(mode="json") for each in account.membership}


def evidence_of(reader: Reader) -> tuple[Evidence, ...]:
    """Return the whole ledger, in the order in which it was taken in."""
    checks: dict[str, list[Check]] = {}
    for check in reader.membership_checks():
        checks.setdefault(check.digest, []).append(Check(time=check.block_time, valid=check.is_valid))
    return tuple(_evidence(row, tuple(checks.get(row.digest, ()))) for row in reader.membership_evidence())


def _evidence(row: EvidenceRow, checks: tuple[Check, ...]) -> Evidence:
    return Evidence(
        account=row.account_id,
        wallet=Account(row.chain_id, row.wallet),
        action=Action(row.action),
        scheme=Scheme(row.scheme),
        digest=row.digest,
        nonce=row.nonce,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        received_at=row.received_at,
        checks=checks,
    )


def _is_older(new: Evidence, held: Evidence) -> bool:
    """Whether a message was signed before another one that was taken in; of one moment a revocation is the later."""
    if new.scheme is Scheme.OPERATOR:
        return False
    revoked = new.action is Action.LINK and held.action is Action.REVOKE
    return new.issued_at < held.issued_at or (revoked and new.issued_at == held.issued_at)


def _same_wallet(one: Evidence, other: Evidence) -> bool:
    return one.speaks_for(other.wallet) or other.speaks_for(one.wallet)


def _weighed(known: Membership, holders: Mapping[str, int]) -> Membership:
    """Let no wallet count twice: one that several accounts have stays where the configuration declares it."""
    contested = known.belongs and not known.declared and holders[known.member] > 1
    return replace(known, kind=MemberKind.CONTESTED) if contested else known


def _account(account: str, known: tuple[Membership, ...]) -> MarginAccount:
    members = tuple(each.member for each in known if each.belongs)
    return MarginAccount(id=account, members=members, membership=known)


def _line(row: EvidenceRow, checks: Iterable[CheckRow]) -> dict[str, Any]:
    mine = [check for check in checks if check.digest == row.digest]
    return {
        "evidence": row.digest,
        "wallet": str(Account(row.chain_id, row.wallet)),
        "action": row.action,
        "scheme": row.scheme,
        "nonce": row.nonce,
        "issued_at": moment(row.issued_at),
        "expires_at": moment(row.expires_at),
        "received_at": moment(row.received_at),
        "by": row.who,
        "note": row.note,
        "checks": [
            {
                "block": check.block_number,
                "time": moment(check.block_time),
                "outcome": check.outcome,
                "valid": check.is_valid,
            }
            for check in mine
        ],
    }
