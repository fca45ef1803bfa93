"""What an account is at one moment, and what the two token programs keep in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from solders.account import Account
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID

TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM_ID, TOKEN_2022_PROGRAM_ID})
SYSTEM_PROGRAM = Pubkey.default()

TOKEN_ACCOUNT_SIZE = 165
MINT_SIZE = 82
KIND_AT = 165
"""Where Token-2022 says what an extended account is."""
KIND_MINT, KIND_ACCOUNT = 1, 2
STATE_AT = 108
RENT_LAMPORTS_PER_BYTE = 6_960
ACCOUNT_OVERHEAD = 128
EXTENSION_HEADER = 4
FEE_WITHHELD_IN_ACCOUNT = 2
FEE_WITHHELD_IN_MINT_AT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The content of an account; an account that is not there is None."""

    lamports: int
    owner: Pubkey
    data: bytes = b""
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolding:
    """What a token account says: who may spend how much of which token."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    program: Pubkey


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """What a mint says of its token."""

    supply: int
    decimals: int


Read: TypeAlias = Callable[[Pubkey], Image | None]


def image_of(account: Account | None) -> Image | None:
    """An account as the engine gives it; one without lamports is not there."""
    if account is None or account.lamports == 0:
        return None
    return Image(lamports=account.lamports, owner=account.owner, data=account.data, executable=account.executable)


def account_of(image: Image | None) -> Account:
    """An image as the engine takes it."""
    if image is None:
        return Account(0, b"", SYSTEM_PROGRAM)
    return Account(image.lamports, image.data, image.owner, image.executable)


def rent_exempt(size: int) -> int:
    """The lamports that an account of a size must hold to stay."""
    return (size + ACCOUNT_OVERHEAD) * RENT_LAMPORTS_PER_BYTE


def token_holding(image: Image | None) -> TokenHolding | None:
    """The token account in an image; None when it is none, or not initialised."""
    if image is None or image.owner not in TOKEN_PROGRAMS or not _holds(image.data, TOKEN_ACCOUNT_SIZE, KIND_ACCOUNT):
        return None
    body = image.data
    if body[STATE_AT] == 0:
        return None
    return TokenHolding(
        mint=Pubkey(body[:32]),
        owner=Pubkey(body[32:64]),
        amount=int.from_bytes(body[64:72], "little"),
        program=image.owner,
    )


def mint_of(image: Image | None) -> Mint | None:
    """The mint in an image; None when it is none, or not initialised."""
    if image is None or image.owner not in TOKEN_PROGRAMS or not _holds(image.data, MINT_SIZE, KIND_MINT):
        return None
    body = image.data
    if body[45] == 0:
        return None
    return Mint(supply=int.from_bytes(body[36:44], "little"), decimals=body[44])


def withheld_fees(image: Image | None) -> int:
    """Transfer fees of Token-2022 that lie in a token account and cannot be spent from it."""
    if token_holding(image) is None or image is None:
        return 0
    place, body = KIND_AT + 1, image.data
    while place + EXTENSION_HEADER <= len(body):
        kind = int.from_bytes(body[place : place + 2], "little")
        size = int.from_bytes(body[place + 2 : place + 4], "little")
        if kind == FEE_WITHHELD_IN_ACCOUNT:
            return int.from_bytes(body[place + 4 : place + 12], "little")
        place += EXTENSION_HEADER + size
    return 0


def withheld_in_mint(image: Image | None) -> int:
    """Transfer fees that were harvested to a mint whose only extension is the transfer fee."""
    if mint_of(image) is None or image is None or len(image.data) <= KIND_AT:
        return 0
    first = KIND_AT + 1 + EXTENSION_HEADER + FEE_WITHHELD_IN_MINT_AT
    return int.from_bytes(image.data[first : first + 8], "little")


def ui_amount(amount: int, decimals: int) -> dict[str, Any]:
    """An amount as nodes show it."""
    exact = Decimal(amount).scaleb(-decimals)
    text = f"{exact:f}"
    shown = text.rstrip("0").rstrip(".") if "." in text else text
    return {"amount": str(amount), "decimals": decimals, "uiAmount": float(exact), "uiAmountString": shown}


def _holds(body: bytes, base: int, kind: int) -> bool:
    if len(body) == base:
        return True
    return len(body) > KIND_AT and body[KIND_AT] == kind
