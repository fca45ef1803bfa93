"""Event declarations of a vault, as its operator writes them (source: Solidity grammar, `event-definition`).

Parameters are taken by name. A name does not change which logs are matched, so a declaration may call a parameter what it is here.
Other parameters are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chains.evm.abi import Argument, Event

LIKE = "event Deposit(address indexed account, address indexed token, uint256 amount)"
TOKEN = "token"  # noqa: S105 - the name of a parameter
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


class Malformed(ValueError):
    """A declaration or an option that cannot be read; the message says what is wrong with it and what to write."""


class Role(NamedTuple):
    """What a parameter of one name means, the `kind` of type that it must have, and what the type must be in words."""

    meaning: str
    kind: str
    wanted: str


ADDRESS = Role("whose address is credited or debited", "address", "an address")
ID = Role("that is the id of the account", "id", "an id: bytes1 to bytes32 or uint8 to uint256")
AMOUNT = Role("that says how much was moved, in raw units", "uint", "an unsigned integer, uint8 to uint256")
DELTA = Role(
    "that says how much was moved, in raw units, below zero for what went out",
    "int",
    "a signed integer, int8 to int256",
)
OWNER = Role("whose account it is from now on", "address", "an address")

MOVEMENT: Mapping[str, Role] = {"account": ADDRESS, "amount": AMOUNT}
_KINDS = {
    "address": re.compile("address"),
    "uint": re.compile(r"uint\d+"),
    "int": re.compile(r"int\d+"),
    "id": re.compile(r"bytes\d+|uint\d+"),
}


def parse_declaration(text: str, roles: Mapping[str, Role] = MOVEMENT) -> Event:
    """Read an event declaration in Solidity; raises `ValueError` saying what is wrong, where, and what to write.

    `roles`: the parameters that it must have, by name.
    """
    match = _DECLARATION.fullmatch(text)
    if match is None:
        raise Malformed(f'"{shown(text)}" is no event declaration; write it like {LIKE}')
    name, inner, anonymous = match.groups()
    if anonymous:
        raise Malformed(
            f"{name} is anonymous, so that nothing tells its logs from others; such a vault cannot be followed"
        )
    parts = inner.split(",") if inner.strip() else []
    arguments = [_argument(name, place, part) for place, part in enumerate(parts, start=1)]
    _check(name, arguments, roles)
    return Event(f"{name}({', '.join(map(_written, arguments))})")


def signature_of(event: Event) -> str:
    """Return the signature that decides which logs are matched."""
    return f"{event.name}({','.join(argument.type for argument in event.arguments)})"


def shown(value: object) -> str:
    """Return a text in one line and not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _argument(event: str, place: int, text: str) -> Argument:
    match = _PARAMETER.fullmatch(text)
    if match is None or (match[2] and match[1] != "address"):
        raise Malformed(
            f'parameter {place} of {event} is "{shown(text.strip())}"; write its type, then indexed if it is, then its name'
        )
    written, _, indexed, name = match.groups()
    element, bracket, sizes = written.partition("[")
    kind = _SHORT.get(element, element) + bracket + sizes
    argument = Argument(kind, name or f"unnamed{place}", indexed is not None)
    if argument.element not in _ELEMENTARY:
        raise Malformed(
            f"parameter {place} of {event} has the type {shown(element)}; write what it is in the ABI: address for a contract,"
            " uint8 for an enum, else an elementary type such as uint256"
        )
    if argument.dynamic:
        raise Malformed(
            f"parameter {place} of {event} has the dynamic type {kind}; events with such a parameter are not read,"
            " only those of static types"
        )
    if not 1 <= argument.words <= MOST_WORDS:
        raise Malformed(f"parameter {place} of {event} has the type {kind}; only 1 to {MOST_WORDS} elements are read")
    return argument


def _check(event: str, arguments: Sequence[Argument], roles: Mapping[str, Role]) -> None:
    """Raise where the parameters do not go together, or leave a role open."""
    for name, count in Counter(a.name for a in arguments).items():
        if count > 1:
            raise Malformed(f"{event} has {count} parameters named {name}; name each once")
    indexed = sum(a.indexed for a in arguments)
    if indexed > MOST_INDEXED:
        raise Malformed(f"{event} has {indexed} indexed parameters; an event has at most {MOST_INDEXED}")
    types = {a.name: a.type for a in arguments}
    for name, role in roles.items():
        if name not in types:
            raise Malformed(
                f"{event} has no parameter named {name}; give that name to the one {role.meaning}"
                " (a name does not change which logs are matched)"
            )
        _check_type(event, name, types[name], role)
    if "amount" in roles:
        _check_type(event, TOKEN, types.get(TOKEN, "address"), ADDRESS)


def _check_type(event: str, name: str, written: str, role: Role) -> None:
    if not _KINDS[role.kind].fullmatch(written):
        raise Malformed(f"parameter {name} of {event} is {written}; it must be {role.wanted}")


def _written(argument: Argument) -> str:
    return f"{argument.type}{' indexed' if argument.indexed else ''} {argument.name}"
