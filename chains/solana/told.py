"""What instructions of a lending program tell: the words in which a protocol's `instructions.py` says it, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chains.model import Side
from chains.ports import MarketKey
from chains.solana.calls import Call
from chains.solana.tokens import TOKEN_PROGRAMS, Unreadable
from chains.solana.transactions import Transaction

SUPPLY, WITHDRAW, BORROW, REPAY, LIQUIDATION = "supply", "withdraw", "borrow", "repay", "liquidation"
FLASH_BORROW, FLASH_REPAY = "flash_borrow", "flash_repay"
WRITE_OFF = "write_off"
"""A debt that nobody repaid; the amount is at most what is said."""

TRANSFER_ACCOUNT = "transfer_account"
"""All of a unit went over to another."""

NO_UNIT = b""
WHOLE_UNIT, BIRTH = b"", b"+"
"""In the place of a market: a change that may be in any of them, and the unit's beginning, before which it held nothing."""


class Delta(NamedTuple):
    """What an instruction did to a position.

    `tokens`: raw token units, signed, `None` for an amount that nothing names; `exact`: the same in the protocol's own integers (collateral
    tokens), `None` where it has none.
    """

    unit: bytes
    market: bytes
    side: Side
    tokens: int | None
    exact: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One line of history: `amount` in raw units of `asset`; `owner`: `None` where the instruction does not name the unit's."""

    kind: str
    unit: bytes
    owner: bytes | None
    market: bytes
    asset: bytes
    amount: int
    counterparty: bytes | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    deltas: tuple[Delta, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one call did; `owners`: whose units are, as the instruction proves; `born`: units that it made."""

    name: str
    deeds: tuple[Deed, ...] = ()
    owners: Mapping[bytes, bytes] = field(default_factory=dict)
    born: tuple[bytes, ...] = ()


class Strange(ValueError):
    """An instruction of the program that cannot be told: unknown, or of another shape; its text is the reason."""


Telling = tuple[Call, Told | Strange]


def telling(found: Iterable[Call], tell: Callable[[Call], Told | None]) -> Iterator[Telling]:
    """Yield what each call told, or why it cannot be told; `tell` raises `Strange` and `Unreadable`, and returns `None` for others'."""
    for call in found:
        try:
            told = tell(call)
        except Strange as strange:
            yield call, strange
        except Unreadable as problem:
            yield call, Strange(f"unreadable_transfer:{problem}")
        else:
            if told is not None:
                yield call, told


class Teller(Protocol):
    """A protocol's reading of transactions for one venue.

    `nets`: an instruction may change either side of a market, so that only deposits less debts are compared.
    """

    nets: bool

    def tell(self, read: Transaction) -> Iterator[Telling]:
        """Yield what each call of the program did to the venue, in order; calls that concern others are left out."""
        ...

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None:
        """Return how many raw token units an amount in the protocol's own integers is, `None` where it is not compared in tokens."""
        ...

    def owner(self, account: bytes) -> bytes | None:
        """Return who owns a unit, by its account's bytes, `None` where these are not a unit's."""
        ...


class Parties(NamedTuple):
    """The accounts of an instruction by their places, and where it must name a token program, as the known order of accounts does."""

    name: str
    places: Mapping[str, int]
    token_programs: tuple[int, ...]
    least: int

    def of(self, call: Call, first: int = 0) -> Mapping[str, bytes]:
        """Name a call's accounts, from the place `first` on; raises `Strange` for another order of accounts."""
        accounts = call.accounts[first:]
        if len(accounts) < self.least or any(accounts[place] not in TOKEN_PROGRAMS for place in self.token_programs):
            raise Strange(f"unknown_accounts:{self.name}")
        return {role: accounts[place] for role, place in self.places.items()}


def parties(name: str, roles: str) -> Parties:
    """Read the order of accounts from words: `-` is passed over, `token_program` must be one."""
    words = roles.split()
    places = {word: place for place, word in enumerate(words) if word not in {"-", "token_program"}}
    tokens = tuple(place for place, word in enumerate(words) if word == "token_program")
    return Parties(name, places, tokens, len(words))


def holder_of(read: Transaction, account: bytes) -> bytes | None:
    """Return whose a token account was before or after, as far as the node noted it."""
    balance = read.before.get(account) or read.after.get(account)
    return None if balance is None else balance.owner


def mint_of(read: Transaction, accounts: Iterable[bytes]) -> bytes:
    """Return the token of the first of these accounts that the node noted a balance of; raises `Strange`."""
    for account in accounts:
        balance = read.after.get(account) or read.before.get(account)
        if balance is not None:
            return balance.mint
    raise Strange("no_token_balance")
