"""What a random hand does at the bench: every instruction that can change an amount or an owner, and some that cannot."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_2022_PROGRAM_ID

from tests.devnet.solana import tokens
from tests.devnet.solana.accounts import SYSTEM_PROGRAM, TokenHolding
from tests.devnet.solana.router import routed
from tests.unit.chains.solana.bench import FEE_BASIS_POINTS, FEE_MOST, Bench, Mint

Hand = Callable[[Bench, Mint], list[Instruction]]


def transfers(bench: Bench, mint: Mint) -> list[Instruction]:
    """By owner, permanent delegate, or to itself; plain, checked, or naming its fee."""
    source, target = (bench.rng.choice(bench.of(mint)) for _ in range(2))
    held = bench.holding(source)
    assert held is not None
    authority = mint.delegate.pubkey() if mint.delegate and bench.rng.random() < 0.5 else held.owner
    amount = some(bench.rng, held.amount)
    decimals = 9 if mint.native else 6
    checked = tokens.transfer_checked(
        mint.program, source, mint.key, target, authority, amount=amount, decimals=decimals
    )
    kinds = [checked, tokens.transfer_plain(mint.program, source, target, authority, amount)]
    if mint.program == TOKEN_2022_PROGRAM_ID:
        fee = tokens.transfer_fee(amount, basis_points=FEE_BASIS_POINTS, most=FEE_MOST) if mint.fee else 0
        named = tokens.transfer_checked_with_fee(
            source, mint.key, target, authority, amount=amount, decimals=decimals, fee=fee
        )
        kinds.append(named)
    return [bench.rng.choice(kinds)]


def issues(bench: Bench, mint: Mint) -> list[Instruction]:
    """Minting and burning of every kind."""
    account = bench.rng.choice(bench.of(mint))
    held = bench.holding(account)
    assert held is not None
    amount = some(bench.rng, held.amount)
    end = bytes([6])
    plain = bench.minted(mint, account, amount)
    more = Instruction(mint.program, b"\x0e" + tokens.u64(amount) + end, list(plain.accounts))
    owner = tokens.signer(mint.delegate.pubkey() if mint.delegate and bench.rng.random() < 0.5 else held.owner)
    burnt = [tokens.writable(account), tokens.writable(mint.key)]
    if mint.burner:
        signed = [*burnt, tokens.signer(mint.burner.pubkey()), owner]
        kind = bench.rng.choice([b"\x2e\x01" + tokens.u64(amount), b"\x2e\x02" + tokens.u64(amount) + end])
        return [bench.rng.choice([more, Instruction(mint.program, kind, signed)])]
    kind = bench.rng.choice([b"\x08" + tokens.u64(amount), b"\x0f" + tokens.u64(amount) + end])
    return [bench.rng.choice([more, plain, Instruction(mint.program, kind, [*burnt, owner])])]


def owners(bench: Bench, mint: Mint) -> list[Instruction]:
    """Handing over, and letting others spend."""
    account, held = one_of(bench, mint)
    heir = bench.rng.choice(bench.wallets)
    closer = Instruction(
        mint.program,
        bytes([tokens.Code.SET_AUTHORITY, tokens.Authority.CLOSE_ACCOUNT, bench.rng.randint(0, 1)]) + bytes(heir),
        [tokens.writable(account), tokens.signer(held.owner)],
    )
    given = tokens.set_owner(mint.program, account, held.owner, heir)
    allowed = tokens.approve(mint.program, account, heir, held.owner, 5)
    return [bench.rng.choice([given, given, closer, allowed])]


def comings_and_goings(bench: Bench, mint: Mint) -> list[Instruction]:
    """Accounts that are opened, with lamports in them, and closed."""
    if bench.rng.random() < 0.5 or len(bench.of(mint)) < 4:
        made, account = bench.opened(mint, bench.rng.choice(bench.wallets), lamports=bench.rng.choice([0, 0, 12_345]))
        bench.accounts[account] = mint
        return made
    account, held = one_of(bench, mint)
    emptied = []
    if held.amount and not mint.native:
        others = [other for other in bench.of(mint) if other != account]
        target = bench.rng.choice(others)
        emptied = [
            tokens.transfer_checked(mint.program, account, mint.key, target, held.owner, amount=held.amount, decimals=6)
        ]
    return [*emptied, tokens.close_account(mint.program, account, bench.payer, held.owner)]


def lamports(bench: Bench, mint: Mint) -> list[Instruction]:
    """What is done with the lamports of an account."""
    account, held = one_of(bench, mint)
    paid = tokens.pay(bench.payer, account, bench.rng.randint(0, 9_999))
    metas = [tokens.writable(account), tokens.writable(bench.rng.choice(bench.wallets)), tokens.signer(held.owner)]
    part = Instruction(mint.program, b"\x2d\x01" + tokens.u64(some(bench.rng, held.amount)), metas)
    rest = Instruction(mint.program, b"\x2d\x00", metas)
    excess = Instruction(mint.program, b"\x26", metas)
    longer = Instruction(
        mint.program,
        b"\x1d" + bytes([8, 0]),
        [
            tokens.writable(account),
            tokens.paying(bench.payer),
            tokens.readonly(SYSTEM_PROGRAM),
            tokens.signer(held.owner),
        ],
    )
    synced = tokens.sync_native(mint.program, account)
    return bench.rng.choice([[paid, synced], [paid, excess], [part], [rest], [longer, synced], [paid]])


def fees(bench: Bench, mint: Mint) -> list[Instruction]:
    """Withheld fees on their way."""
    target, *sources = [bench.rng.choice(bench.of(mint)) for _ in range(4)]
    sources = list(dict.fromkeys(sources))
    harvested = tokens.harvest_fees(mint.key, sources)
    paid = tokens.withdraw_fees_from_mint(mint.key, target, bench.payer)
    straight = tokens.withdraw_fees_from_accounts(mint.key, target, bench.payer, sources)
    return bench.rng.choice([[harvested], [harvested, paid], [straight]])


HANDS: list[tuple[Hand, int]] = [(transfers, 8), (issues, 4), (owners, 3), (comings_and_goings, 2), (lamports, 4)]


def act(bench: Bench) -> list[Instruction]:
    """Some instructions, some of them in a batch or through another program."""
    found: list[Instruction] = []
    for _ in range(bench.rng.randint(1, 4)):
        mint = bench.rng.choice(bench.mints)
        (hand,) = bench.rng.choices([hand for hand, _ in HANDS], [weight for _, weight in HANDS])
        hand = fees if mint.fee and bench.rng.random() < 0.25 else hand
        found += dressed(bench, mint, hand(bench, mint))
    return found


def dressed(bench: Bench, mint: Mint, plain: list[Instruction]) -> list[Instruction]:
    """The same, as parts of a batch, or called by another program."""
    kind = bench.rng.random()
    if kind < 0.3:
        parts = [part for part in plain if part.program_id == mint.program]
        if len(parts) == len(plain):
            return [mangled(bench.rng, tokens.batch(mint.program, parts))]
    if kind > 0.8:
        return [routed(each) if named_once(each) else each for each in plain]
    return plain


def mangled(rng: Random, batch: Instruction) -> Instruction:
    """Now and then a batch whose lengths, bytes or accounts are not what they should be."""
    body, metas = bytearray(batch.data), list(batch.accounts)
    if rng.random() < 0.3:
        body[rng.randrange(1, len(body))] = rng.randrange(256)
    if rng.random() < 0.1:
        body += bytes(rng.choices([0, 1, 2, 255], k=rng.randint(1, 4)))
    if rng.random() < 0.1:
        metas += metas[: rng.randint(1, 3)]
    if rng.random() < 0.1:
        part = bytes(body[1:])
        body = bytearray([255, len(metas), len(part) % 256, *part])
    return Instruction(batch.program_id, bytes(body), metas)


def named_once(instruction: Instruction) -> bool:
    """The router takes no account twice."""
    names = [instruction.program_id, *(meta.pubkey for meta in instruction.accounts)]
    return len(names) == len(set(names))


def one_of(bench: Bench, mint: Mint) -> tuple[Pubkey, TokenHolding]:
    """A token account that is there."""
    account = bench.rng.choice(bench.of(mint))
    held = bench.holding(account)
    assert held is not None
    return account, held


def some(rng: Random, most: int) -> int:
    """An amount, now and then nothing, all, or too much."""
    return rng.choice([0, most, most + 1, *(rng.randint(0, most) for _ in range(5))])
