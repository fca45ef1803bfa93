"""The two events of a vault, as its operator declares them (source: Solidity grammar, `event-definition`).

Options: `deposit_event` and `withdraw_event`, declarations in Solidity; `token`, the vault's only ERC-20, for events that do not
name one. Parameters are taken by name: `account` is credited or debited, `token` is what was moved, `amount` is how much in raw units.
A name does not change which logs are matched, so a declaration may call a parameter what it is here. Other parameters are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chains.evm.abi import Argument, Event
from chains.identifiers import EVM, IdentifierError, parse_address

DEPOSIT_EVENT, WITHDRAW_EVENT, TOKEN = "deposit_event", "withdraw_event", "token"
DECLARED: Mapping[str, str] = {
    DEPOSIT_EVENT: "event Deposit(address indexed account, address indexed token, uint256 amount)",
    WITHDRAW_EVENT: "event Withdraw(address indexed account, address indexed token, uint256 amount)",
}
"""What a vault emits if its options do not say otherwise."""

MOST_INDEXED = 3
MOST_WORDS = 256
_SHOWN = 120

_NAME = r"(?!(?:event|indexed|anonymous)\b)[A-Za-z_$][\w$]*"
_DECLARATION = re.compile(rf"\s*(?:event\s+)?({_NAME})\s*\(([^()]*)\)\s*(anonymous\b)?\s*;?\s*", re.ASCII)
_PARAMETER = re.compile(
    rf"\s*([A-Za-z_$][\w$.]*(?:\[\d*\])*)(?:\s+(payable))?(?:\s+(indexed)\b)?(?:\s+({_NAME}))?\s*", re.ASCII
)
_SIZES = tuple(str(bits) for bits in range(8, 257, 8))
_ELEMENTARY = {
    *("address", "bool", "string", "bytes"),
    *(f"{sign}{bits}" for sign in ("uint", "int") for bits in _SIZES),
    *(f"bytes{size}" for size in range(1, 33)),
}
_SHORT = {"uint": "uint256", "int": "int256"}


class _Malformed(ValueError):
    """A declaration that cannot be read; the message says what is wrong with it and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An event and where its arguments stand; `token` is `None` where the event does not name one."""

    event: Event
    account: int
    amount: int
    token: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a vault tells of deposits and withdrawals; `token` is meant where an event does not name one."""

    deposit: Declared
    withdraw: Declared
    token: bytes


def parse_declaration(text: str) -> Event:
    """Read an event declaration in Solidity; raises `ValueError` saying what is wrong, where, and what to write."""
    match = _DECLARATION.fullmatch(text)
    if match is None:
        raise _Malformed(f'"{_shown(text)}" is no event declaration; write it like {DECLARED[DEPOSIT_EVENT]}')
    name, inner, anonymous = match.groups()
    if anonymous:
        raise _Malformed(
            f"{name} is anonymous, so that nothing tells its logs from others; such a vault cannot be followed"
        )
    parts = inner.split(",") if inner.strip() else []
    arguments = [_argument(name, place, part) for place, part in enumerate(parts, start=1)]
    _check(name, arguments)
    return Event(f"{name}({', '.join(map(_written, arguments))})")


def check_options(options: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the options of a vault, each with what to write instead; empty for nothing."""
    events: dict[str, Event] = {}
    problems = []
    for option in DECLARED:
        try:
            events[option] = _event(options, option)
        except _Malformed as problem:
            problems.append(f"{option}: {problem}")
    try:
        token = _token(options)
    except _Malformed as problem:
        return [*problems, f"{TOKEN}: {problem}"]
    return problems + _contradictions(events, token)


def terms_of(options: Mapping[str, object]) -> Terms:
    """Read the options of a vault; raises `ValueError` for those that `check_options` finds fault with."""
    if problems := check_options(options):
        raise ValueError("; ".join(problems))
    return Terms(
        deposit=_declared(_event(options, DEPOSIT_EVENT)),
        withdraw=_declared(_event(options, WITHDRAW_EVENT)),
        token=_token(options) or b"",
    )


def _event(options: Mapping[str, object], option: str) -> Event:
    text = options.get(option, DECLARED[option])
    if not isinstance(text, str):
        raise _Malformed(f"is {_shown(text)}; write the event as text, like {DECLARED[option]}")
    return parse_declaration(text)


def _token(options: Mapping[str, object]) -> bytes | None:
    text = options.get(TOKEN)
    if text is None:
        return None
    if not isinstance(text, str):
        raise _Malformed(f"is {_shown(text)}; write the address of the vault's only ERC-20 as text")
    try:
        return parse_address(EVM, text)
    except IdentifierError as error:
        raise _Malformed(str(error)) from error


def _contradictions(events: Mapping[str, Event], token: bytes | None) -> list[str]:
    """Return what is wrong with declarations that are each right by themselves."""
    silent = [option for option, event in events.items() if _declared(event).token is None]
    problems = []
    if token is None:
        problems += [
            f"{option}: {events[option].name} has no parameter named {TOKEN}; give that name to the one that is"
            f" the token's address, or set the option {TOKEN} to the vault's only ERC-20"
            for option in silent
        ]
    elif len(events) == len(DECLARED) and not silent:
        problems.append(f"{TOKEN}: both events name their token themselves; leave this option out")
    if len(events) == len(DECLARED) and len({event.topic0 for event in events.values()}) == 1:
        signature = _signature(events[DEPOSIT_EVENT])
        problems.append(
            f"{DEPOSIT_EVENT} and {WITHDRAW_EVENT} are both {signature}, so that nothing tells a deposit from a withdrawal;"
            " declare the event of each"
        )
    return problems


def _argument(event: str, place: int, text: str) -> Argument:
    match = _PARAMETER.fullmatch(text)
    if match is None or (match[2] and match[1] != "address"):
        raise _Malformed(
            f'parameter {place} of {event} is "{_shown(text.strip())}"; write its type, then indexed if it is, then its name'
        )
    written, _, indexed, name = match.groups()
    element, bracket, sizes = written.partition("[")
    kind = _SHORT.get(element, element) + bracket + sizes
    argument = Argument(kind, name or f"unnamed{place}", indexed is not None)
    if argument.element not in _ELEMENTARY:
        raise _Malformed(
            f"parameter {place} of {event} has the type {_shown(element)}; write what it is in the ABI: address for a contract,"
            " uint8 for an enum, else an elementary type such as uint256"
        )
    if argument.dynamic:
        raise _Malformed(
            f"parameter {place} of {event} has the dynamic type {kind}; events with such a parameter are not read,"
            " only those of static types"
        )
    if not 1 <= argument.words <= MOST_WORDS:
        raise _Malformed(f"parameter {place} of {event} has the type {kind}; only 1 to {MOST_WORDS} elements are read")
    return argument


def _check(event: str, arguments: Sequence[Argument]) -> None:
    """Raise where the parameters do not go together, or leave a role open."""
    named = Counter(a.name for a in arguments)
    for name, count in named.items():
        if count > 1:
            raise _Malformed(f"{event} has {count} parameters named {name}; name each once")
    indexed = sum(a.indexed for a in arguments)
    if indexed > MOST_INDEXED:
        raise _Malformed(f"{event} has {indexed} indexed parameters; an event has at most {MOST_INDEXED}")
    roles = {
        "account": ("whose address is credited or debited", "address"),
        "amount": ("that says how much was moved, in raw units", "uint"),
    }
    types = {a.name: a.type for a in arguments}
    for role, (meaning, kind) in roles.items():
        if role not in types:
            raise _Malformed(
                f"{event} has no parameter named {role}; give that name to the one {meaning}"
                " (a name does not change which logs are matched)"
            )
        _check_type(event, role, types[role], kind)
    _check_type(event, TOKEN, types.get(TOKEN, "address"), "address")


def _check_type(event: str, role: str, written: str, kind: str) -> None:
    right = written == kind if kind == "address" else written.startswith(kind) and "[" not in written
    if not right:
        wanted = "an address" if kind == "address" else "an unsigned integer, uint8 to uint256"
        raise _Malformed(f"parameter {role} of {event} is {written}; it must be {wanted}")


def _declared(event: Event) -> Declared:
    places = {argument.name: place for place, argument in enumerate(event.arguments)}
    return Declared(event=event, account=places["account"], amount=places["amount"], token=places.get(TOKEN))


def _written(argument: Argument) -> str:
    return f"{argument.type}{' indexed' if argument.indexed else ''} {argument.name}"


def _signature(event: Event) -> str:
    return f"{event.name}({','.join(argument.type for argument in event.arguments)})"


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
