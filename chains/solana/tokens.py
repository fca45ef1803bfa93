"""What the SPL Token programs do to balances, instruction by instruction.

Sources: solana-program `token/interface`, `token-2022/interface` (instruction enums, transfer-fee extension) and `p-token` (batch).
Token and Token-2022 number their common instructions alike.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from chains.identifiers import from_base58
from chains.solana.transactions import Instruction

TOKEN_PROGRAM = from_base58("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = from_base58("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM, TOKEN_2022_PROGRAM})
NATIVE_MINTS = frozenset(
    {
        from_base58("So11111111111111111111111111111111111111112"),
        from_base58("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXejP"),
    }
)
"""Wrapped SOL of either program: its token accounts hold lamports, and are counted as these are."""

ACCOUNT_SIZE = 165
"""Bytes of a token account without extensions; one with extensions is longer and says its type at this offset."""

_ACCOUNT_TYPE = 2
_MINT, _OWNER, _AMOUNT = slice(0, 32), slice(32, 64), slice(64, 72)


class _Code(IntEnum):
    """Instructions that change balances or owners; all others leave both alone."""

    INITIALIZE_ACCOUNT = 1
    TRANSFER = 3
    SET_AUTHORITY = 6
    MINT_TO = 7
    BURN = 8
    CLOSE_ACCOUNT = 9
    TRANSFER_CHECKED = 12
    MINT_TO_CHECKED = 14
    BURN_CHECKED = 15
    INITIALIZE_ACCOUNT_2 = 16
    SYNC_NATIVE = 17
    INITIALIZE_ACCOUNT_3 = 18
    TRANSFER_FEE_EXTENSION = 26
    CONFIDENTIAL_TRANSFER_EXTENSION = 27
    UNWRAP_LAMPORTS = 45
    PERMISSIONED_BURN_EXTENSION = 46
    BATCH = 255


class _ConfidentialCode(IntEnum):
    DEPOSIT = 5
    WITHDRAW = 6


class _BurnCode(IntEnum):
    BURN = 1
    BURN_CHECKED = 2


class _FeeCode(IntEnum):
    TRANSFER_CHECKED_WITH_FEE = 1
    WITHDRAW_FROM_MINT = 2
    WITHDRAW_FROM_ACCOUNTS = 3


_ACCOUNT_OWNER = 2
"""The authority that `SET_AUTHORITY` changes when it hands an account over."""

_BASIS_POINTS = 10_000


class Unreadable(ValueError):
    """An instruction or account of a token program that has another shape than its source says."""


class Fee(Enum):
    """How much of a transfer its receiver does not get."""

    UNKNOWN = "unknown"
    """By the terms of the mint, which the instruction does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """`amount` leaves `source`; `fee` of it is withheld from `target`."""

    source: bytes
    target: bytes
    amount: int
    fee: int | Fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """`amount` appears in (or, negative, vanishes from) an account: minted, burnt, unwrapped, made confidential."""

    account: bytes
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """An instruction that may change the balances of accounts by an amount that it does not name."""

    accounts: tuple[bytes, ...]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """From here on an account belongs to `owner`."""

    account: bytes
    owner: bytes


Effect = Transfer | Issue | Opaque | Owned


def effects(instruction: Instruction) -> Iterator[Effect]:
    """Yield what an instruction that succeeded did to token accounts; raises `Unreadable`."""
    if instruction.program not in TOKEN_PROGRAMS or not instruction.data:
        return
    for part in _unbatched(instruction):
        try:
            yield from _effects(part)
        except (struct.error, IndexError) as error:
            raise Unreadable(f"token instruction {part.data.hex()} with {len(part.accounts)} accounts") from error


def _unbatched(instruction: Instruction) -> Iterator[Instruction]:
    """Take a batch apart: for each part its number of accounts, its length, its data; a part is no batch."""
    if instruction.data[0] != _Code.BATCH:
        yield instruction
        return
    data, accounts, at = instruction.data[1:], instruction.accounts, 0
    while data:
        count, length = data[0], data[1] if len(data) > 1 else 0
        part = data[2 : 2 + length]
        if not part or len(part) < length or part[0] == _Code.BATCH or len(accounts) < at + count:
            raise Unreadable(f"batch of token instructions {instruction.data.hex()}")
        yield Instruction(program=instruction.program, accounts=accounts[at : at + count], data=part)
        data, at = data[2 + length :], at + count


def _effects(part: Instruction) -> Iterator[Effect]:
    match part.data[0]:
        case _Code.INITIALIZE_ACCOUNT:
            yield Owned(account=part.accounts[0], owner=part.accounts[2])
            yield from _wrapped(part)
        case _Code.INITIALIZE_ACCOUNT_2 | _Code.INITIALIZE_ACCOUNT_3:
            yield Owned(account=part.accounts[0], owner=_key(part.data, 1))
            yield from _wrapped(part)
        case _:
            effect = _effect(part)
            if effect is not None:
                yield effect


def _wrapped(part: Instruction) -> Iterator[Effect]:
    """A new account of wrapped SOL begins with the lamports that lie in it."""
    if part.accounts[1] in NATIVE_MINTS:
        yield Opaque(accounts=part.accounts[:1], name="initialize_account")


def _effect(part: Instruction) -> Effect | None:  # noqa: PLR0911 - one a kind
    accounts, data = part.accounts, part.data
    fee: int | Fee = Fee.UNKNOWN if part.program == TOKEN_2022_PROGRAM else 0
    match data[0]:
        case _Code.TRANSFER:
            return Transfer(source=accounts[0], target=accounts[1], amount=_u64(data, 1), fee=fee)
        case _Code.TRANSFER_CHECKED:
            return Transfer(source=accounts[0], target=accounts[2], amount=_u64(data, 1), fee=fee)
        case _Code.MINT_TO | _Code.MINT_TO_CHECKED:
            return Issue(account=accounts[1], amount=_u64(data, 1))
        case _Code.BURN | _Code.BURN_CHECKED:
            return Issue(account=accounts[0], amount=-_u64(data, 1))
        case _Code.SET_AUTHORITY:
            return _new_owner(part)
        case _Code.CLOSE_ACCOUNT | _Code.SYNC_NATIVE:
            return Opaque(accounts=(accounts[0],), name=_Code(data[0]).name.lower())
        case _Code.UNWRAP_LAMPORTS if data[1] == 0:
            return Opaque(accounts=(accounts[0],), name="unwrap_lamports")
        case _Code.UNWRAP_LAMPORTS:
            return Issue(account=accounts[0], amount=-_u64(data, 2))
        case _:
            return _extended(part)


def _extended(part: Instruction) -> Effect | None:  # noqa: PLR0911 - one a kind
    """Return the effect of an instruction of an extension of Token-2022: behind the extension's code follows its own."""
    accounts, data = part.accounts, part.data
    if part.program != TOKEN_2022_PROGRAM or len(data) < 2:  # noqa: PLR2004 - two codes
        return None
    match data[0], data[1]:
        case _Code.TRANSFER_FEE_EXTENSION, _FeeCode.TRANSFER_CHECKED_WITH_FEE:
            return Transfer(source=accounts[0], target=accounts[2], amount=_u64(data, 2), fee=_u64(data, 11))
        case _Code.TRANSFER_FEE_EXTENSION, _FeeCode.WITHDRAW_FROM_MINT | _FeeCode.WITHDRAW_FROM_ACCOUNTS:
            return Opaque(accounts=(accounts[1],), name="withdraw_withheld")
        case _Code.CONFIDENTIAL_TRANSFER_EXTENSION, _ConfidentialCode.DEPOSIT:
            return Issue(account=accounts[0], amount=-_u64(data, 2))
        case _Code.CONFIDENTIAL_TRANSFER_EXTENSION, _ConfidentialCode.WITHDRAW:
            return Issue(account=accounts[0], amount=_u64(data, 2))
        case _Code.PERMISSIONED_BURN_EXTENSION, _BurnCode.BURN | _BurnCode.BURN_CHECKED:
            return Issue(account=accounts[0], amount=-_u64(data, 2))
        case _:
            return None


def _new_owner(part: Instruction) -> Effect | None:
    kind, given = part.data[1], part.data[2]
    if kind != _ACCOUNT_OWNER or given != 1:
        return None
    return Owned(account=part.accounts[0], owner=_key(part.data, 3))


def _u64(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<Q", data, at)[0])


def _key(data: bytes, at: int) -> bytes:
    if len(data) < at + 32:
        raise IndexError("a public key is cut off")
    return data[at : at + 32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAccount:
    """A token account's own bytes."""

    mint: bytes
    owner: bytes
    amount: int


def token_account(data: bytes) -> TokenAccount:
    """Read a token account, with extensions or without; raises `Unreadable`."""
    with_extensions = len(data) > ACCOUNT_SIZE and data[ACCOUNT_SIZE] == _ACCOUNT_TYPE
    if len(data) != ACCOUNT_SIZE and not with_extensions:
        raise Unreadable(f"{len(data)} bytes are no token account")
    return TokenAccount(mint=data[_MINT], owner=data[_OWNER], amount=int.from_bytes(data[_AMOUNT], "little"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """What a mint withholds: so many basis points of an amount, rounded up, at most `maximum`."""

    basis_points: int
    maximum: int

    def fee(self, amount: int) -> int:
        """Return what is withheld of an amount."""
        return min(-(-amount * self.basis_points // _BASIS_POINTS), self.maximum)


FREE = FeeTerms(basis_points=0, maximum=0)

_MINT_TYPE = 1
_TRANSFER_FEE_CONFIG = 1


def fee_terms(mint: bytes) -> tuple[FeeTerms, ...]:
    """Return the terms of a mint's bytes, the newer and the older (they change at an epoch); nothing for a mint that never has any."""
    for kind, value in _extensions(mint):
        if kind == _TRANSFER_FEE_CONFIG and len(value) >= 108:  # noqa: PLR2004 - the size of the extension
            older = struct.unpack_from("<QQH", value, 72)
            newer = struct.unpack_from("<QQH", value, 90)
            return tuple(FeeTerms(basis_points=terms[2], maximum=terms[1]) for terms in (newer, older))
    return ()


def _extensions(mint: bytes) -> Iterator[tuple[int, bytes]]:
    if len(mint) <= ACCOUNT_SIZE or mint[ACCOUNT_SIZE] != _MINT_TYPE:
        return
    at = ACCOUNT_SIZE + 1
    while at + 4 <= len(mint):
        kind, length = struct.unpack_from("<HH", mint, at)
        if kind == 0:
            return
        yield kind, mint[at + 4 : at + 4 + length]
        at += 4 + length
