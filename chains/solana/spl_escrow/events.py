"""What a transaction does to the vault's token accounts.

A transfer belongs to the owner of the token account on the other side: not to the signer, who may be a delegate, nor to who paid the fee.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chains.solana.ports import Said
from chains.solana.tokens import Fee, Issue, Opaque, Owned, Transfer, Unreadable, effects
from chains.solana.transactions import TokenBalance, Transaction, transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Tokens into or out of one vault account, as the instruction names them.

    `owner`: who owns the token account `counterpart` at that moment, `None` where no node said; `internal`: that account is the
    vault's too, so that nobody deposited. `fee`: what of `amount` did not arrive.
    """

    account: bytes
    incoming: bool
    counterpart: bytes
    owner: bytes | None
    internal: bool
    amount: int
    fee: int | Fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one vault account held before and after the transaction, and what happened to it besides transfers.

    `issued`: minted less burnt; `opaque`: instructions that changed it by amounts they do not name.
    """

    account: bytes
    mint: bytes
    decimals: int
    program: bytes | None
    before: int
    after: int
    issued: int
    opaque: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTransaction:
    """One transaction that succeeded, as the vault sees it; `problem`: why its instructions cannot be read."""

    slot: int
    tx_index: int
    signature: bytes
    held: tuple[Held, ...]
    movements: tuple[Movement, ...]
    problem: str | None


def vault_transactions(said: Iterable[Said], vault: Collection[bytes]) -> list[VaultTransaction]:
    """Read every transaction that touches a token account of the vault and did not fail; raises `NodeWrong`."""
    found = []
    for one in said:
        read = transaction(one.body)
        if not read.failed and any(account in read.before or account in read.after for account in vault):
            found.append(_seen(one, read, vault))
    return found


def held_before(body: str, account: bytes) -> int | None:
    """Return what a token account held before a transaction, `None` for one that says nothing of it; raises `NodeWrong`."""
    read = transaction(body)
    if account in read.before:
        return read.before[account].amount
    return 0 if account in read.after else None


def _seen(said: Said, read: Transaction, vault: Collection[bytes]) -> VaultTransaction:
    problem = None
    movements: list[Movement] = []
    others: list[Issue | Opaque] = []
    try:
        _replay(read, vault, movements, others)
    except Unreadable as error:
        problem = f"unreadable_instruction: {error}"
    if not read.inner_known:
        problem = "the node does not record what programs called"
    if any(read.before[a].mint != read.after[a].mint for a in vault if a in read.before and a in read.after):
        problem = "token_of_account_changed"
    return VaultTransaction(
        slot=said.slot,
        tx_index=said.tx_index,
        signature=said.signature,
        held=tuple(_held(read, vault, others)),
        movements=tuple(movements),
        problem=problem,
    )


def _replay(
    read: Transaction, vault: Collection[bytes], movements: list[Movement], others: list[Issue | Opaque]
) -> None:
    """Go through the instructions with the owners of accounts as they change."""
    owners = {account: balance.owner for account, balance in {**read.after, **read.before}.items()}
    for instruction in read.instructions:
        for effect in effects(instruction):
            match effect:
                case Owned():
                    owners[effect.account] = effect.owner
                case Transfer():
                    movements += _movements(effect, vault, owners)
                case Issue() | Opaque():
                    others.append(effect)


def _movements(
    transfer: Transfer, vault: Collection[bytes], owners: Mapping[bytes, bytes | None]
) -> Iterator[Movement]:
    """Yield the vault's sides of a transfer; one from an account to itself moves nothing."""
    if transfer.amount == 0 or transfer.source == transfer.target:
        return
    for account, counterpart, incoming in (
        (transfer.source, transfer.target, False),
        (transfer.target, transfer.source, True),
    ):
        if account in vault:
            yield Movement(
                account=account,
                incoming=incoming,
                counterpart=counterpart,
                owner=owners.get(counterpart),
                internal=counterpart in vault,
                amount=transfer.amount,
                fee=transfer.fee if incoming else 0,
            )


def _held(read: Transaction, vault: Collection[bytes], others: Sequence[Issue | Opaque]) -> Iterator[Held]:
    for account in sorted(vault):
        before, after = read.before.get(account), read.after.get(account)
        if before and after and before.mint != after.mint:
            yield _held_of(account, before, before, None, others)
            yield _held_of(account, after, None, after, others)
        elif known := after or before:
            yield _held_of(account, known, before, after, others)


def _held_of(
    account: bytes,
    known: TokenBalance,
    before: TokenBalance | None,
    after: TokenBalance | None,
    others: Sequence[Issue | Opaque],
) -> Held:
    return Held(
        account=account,
        mint=known.mint,
        decimals=known.decimals,
        program=known.program,
        before=before.amount if before else 0,
        after=after.amount if after else 0,
        issued=sum(item.amount for item in others if isinstance(item, Issue) and item.account == account),
        opaque=tuple(item.name for item in others if isinstance(item, Opaque) and account in item.accounts),
    )
