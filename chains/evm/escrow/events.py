"""The events of a vault, as its operator declares them.

Options: `deposit_event` and `withdraw_event`, declarations in Solidity or lists of them; `change_event`, the same of events that
tell of both by a signed `amount`; `owner_event`, the one that says whose an account is, where accounts are ids; `token`, the vault's
only ERC-20, for events that do not name one; `coin_address`, what stands for the chain's own coin in place of a token, and `coin`,
what that coin is.
Parameters are taken by name: `account` is credited or debited, `token` is what was moved, `amount` is how much in raw units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chains.evm.abi import Event
from chains.evm.escrow.coin import COIN, Coin, coin_of
from chains.evm.escrow.declarations import (
    ADDRESS,
    AMOUNT,
    DELTA,
    ID,
    LIKE,
    OWNER,
    TOKEN,
    Malformed,
    Role,
    parse_declaration,
    shown,
    signature_of,
)
from chains.identifiers import EVM, IdentifierError, parse_address

DEPOSIT_EVENT, WITHDRAW_EVENT, CHANGE_EVENT, OWNER_EVENT = (
    "deposit_event",
    "withdraw_event",
    "change_event",
    "owner_event",
)
COIN_ADDRESS = "coin_address"
KEYS = (DEPOSIT_EVENT, WITHDRAW_EVENT, CHANGE_EVENT, OWNER_EVENT, TOKEN, COIN_ADDRESS, COIN)
DECLARED: Mapping[str, str] = {
    DEPOSIT_EVENT: LIKE,
    WITHDRAW_EVENT: "event Withdraw(address indexed account, address indexed token, uint256 amount)",
}
"""What a vault emits if its options do not say otherwise."""

_LIKE: Mapping[str, str] = {
    **DECLARED,
    CHANGE_EVENT: "event BalanceChanged(address indexed account, address indexed token, int256 amount)",
    OWNER_EVENT: "event AccountCreated(bytes32 indexed account, address indexed owner)",
}
_ID_SIZE, _ADDRESS_SIZE = 32, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An event and where its arguments stand; `token` is `None` where the event does not name one.

    `sign`: 1 for what came in, -1 for what went out, 0 where the amount says it.
    """

    event: Event
    account: int
    amount: int
    token: int | None
    sign: int


class Owned(NamedTuple):
    """The event that says whose an account is, and where its arguments stand."""

    event: Event
    account: int
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a vault tells of what moves; `token` is meant where an event does not name one.

    `owned`: whose accounts are, where they are ids; `coin`: the chain's own coin, where events can name it.
    """

    movements: tuple[Declared, ...]
    owned: Owned | None
    token: bytes
    coin: Coin | None

    @property
    def account_size(self) -> int:
        """Bytes of an account: an address, or a word."""
        return _ID_SIZE if self.owned else _ADDRESS_SIZE

    @property
    def events(self) -> list[Event]:
        """Every event that matters."""
        return [declared.event for declared in self.movements] + ([self.owned.event] if self.owned else [])


class _Read(NamedTuple):
    """One declaration that could be read, under its option."""

    option: str
    event: Event


def check_options(options: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the options of a vault, each with what to write instead; empty for nothing."""
    problems: list[str] = []
    events = list(_events(options, problems))
    addresses: dict[str, bytes | None] = {}
    for option, meaning in ((TOKEN, "the vault's only ERC-20"), (COIN_ADDRESS, "what stands for the chain's coin")):
        try:
            addresses[option] = _address(options, option, meaning)
        except Malformed as problem:
            problems.append(f"{option}: {problem}")
    try:
        coin_of(options)
    except Malformed as problem:
        problems.append(f"{COIN}: {problem}")
    if COIN in options and COIN_ADDRESS not in options:
        problems.append(
            f"{COIN}: belongs to {COIN_ADDRESS}; say which address stands for the coin, or leave this option out"
        )
    if TOKEN in addresses:
        problems += _contradictions(options, events, addresses[TOKEN])
    return problems


def terms_of(options: Mapping[str, object]) -> Terms:
    """Read the options of a vault; raises `ValueError` for those that `check_options` finds fault with."""
    if problems := check_options(options):
        raise ValueError("; ".join(problems))
    events = list(_events(options, []))
    owned = [_owned(event) for option, event in events if option == OWNER_EVENT]
    address = _address(options, COIN_ADDRESS, "")
    return Terms(
        movements=tuple(_declared(option, event) for option, event in events if option != OWNER_EVENT),
        owned=owned[0] if owned else None,
        token=_address(options, TOKEN, "") or b"",
        coin=coin_of(options, address=address) if address is not None else None,
    )


def _events(options: Mapping[str, object], problems: list[str]) -> Iterator[_Read]:
    """Yield every declaration that can be read; what is wrong with the others goes to `problems`."""
    for option in (DEPOSIT_EVENT, WITHDRAW_EVENT, CHANGE_EVENT, OWNER_EVENT):
        try:
            texts = _texts(options, option)
        except Malformed as problem:
            problems.append(f"{option}: {problem}")
            continue
        for text in texts:
            try:
                yield _Read(option, parse_declaration(text, _roles(option, options)))
            except Malformed as problem:
                problems.append(f"{option}: {problem}")


def _texts(options: Mapping[str, object], option: str) -> Sequence[str]:
    usual = DECLARED.get(option) if CHANGE_EVENT not in options else None
    written = options.get(option, usual)
    if written is None:
        return ()
    several = list(written) if isinstance(written, list | tuple) and option != OWNER_EVENT else [written]
    if not several or not all(isinstance(text, str) for text in several):
        raise Malformed(f"is {shown(written)}; write the event as text, like {_LIKE[option]}")
    return [str(text) for text in several]


def _roles(option: str, options: Mapping[str, object]) -> Mapping[str, Role]:
    if option == OWNER_EVENT:
        return {"account": ID, "owner": OWNER}
    account = ID if OWNER_EVENT in options else ADDRESS
    return {"account": account, "amount": DELTA if option == CHANGE_EVENT else AMOUNT}


def _address(options: Mapping[str, object], option: str, meaning: str) -> bytes | None:
    text = options.get(option)
    if text is None:
        return None
    if not isinstance(text, str):
        raise Malformed(f"is {shown(text)}; write the address of {meaning} as text")
    try:
        return parse_address(EVM, text)
    except IdentifierError as error:
        raise Malformed(str(error)) from error


def _contradictions(options: Mapping[str, object], events: Sequence[_Read], token: bytes | None) -> list[str]:
    """Return what is wrong with declarations that are each right by themselves."""
    moving = [each for each in events if each.option != OWNER_EVENT]
    silent = [each for each in moving if _place(each.event, TOKEN) is None]
    problems = []
    if token is None:
        problems += [
            f"{option}: {event.name} has no parameter named {TOKEN}; give that name to the one that is"
            f" the token's address, or set the option {TOKEN} to the vault's only ERC-20"
            for option, event in silent
        ]
    elif not silent and len(moving) >= _declarations(options):
        who = "both events name" if len(moving) == len(DECLARED) else "all events name"
        problems.append(f"{TOKEN}: {who} their token themselves; leave this option out")
    return problems + list(_twice(events))


def _declarations(options: Mapping[str, object]) -> int:
    """Return how many movements the options declare, readable or not."""
    return sum(
        len(written) if isinstance(written, list | tuple) else 1
        for option in (DEPOSIT_EVENT, WITHDRAW_EVENT, CHANGE_EVENT)
        if (written := options.get(option, DECLARED.get(option) if CHANGE_EVENT not in options else None)) is not None
    )


def _twice(events: Sequence[_Read]) -> Iterator[str]:
    first: dict[bytes, _Read] = {}
    for each in events:
        before = first.setdefault(each.event.topic0, each)
        if before is each:
            continue
        signature = signature_of(each.event)
        if {before.option, each.option} == set(DECLARED):
            yield (
                f"{before.option} and {each.option} are both {signature}, so that nothing tells a deposit from a withdrawal;"
                " declare the event of each"
            )
        else:
            yield f"{before.option} and {each.option} both have {signature}; declare each event once"


def _declared(option: str, event: Event) -> Declared:
    return Declared(
        event=event,
        account=_at(event, "account"),
        amount=_at(event, "amount"),
        token=_place(event, TOKEN),
        sign={DEPOSIT_EVENT: 1, WITHDRAW_EVENT: -1}.get(option, 0),
    )


def _owned(event: Event) -> Owned:
    return Owned(event, _at(event, "account"), _at(event, "owner"))


def _place(event: Event, name: str) -> int | None:
    return next((place for place, argument in enumerate(event.arguments) if argument.name == name), None)


def _at(event: Event, name: str) -> int:
    return [argument.name for argument in event.arguments].index(name)
