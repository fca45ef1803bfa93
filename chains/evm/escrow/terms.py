"""The options of an escrow: what it holds, and how that is told.

`holdings`: `events`, what the events of the contract say (`chains.evm.escrow.events` has the options); `shares`, the contract is an
ERC-4626 vault whose shares are the deposits; `custody`, what addresses hold of tokens and of the chain's coin.
`implementations`: code behind the contract's proxy under which deposits count; without it an upgrade is said and changes nothing.
`balance_view`: what the audit asks the contract about a depositor; `held_elsewhere`: its tokens are not at its own address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chains.escrow import BALANCE_VIEW, HELD_ELSEWHERE
from chains.evm.escrow import events
from chains.evm.escrow.asking import balance_view
from chains.evm.escrow.coin import COIN, Coin, coin_of
from chains.evm.escrow.declarations import TOKEN, Malformed, shown
from chains.identifiers import EVM, IdentifierError, format_address, parse_address

HOLDINGS = "holdings"
EVENTS, SHARES, CUSTODY = "events", "shares", "custody"
IMPLEMENTATIONS, CHECK_EVERY, RATE_EVERY = "implementations", "check_every", "rate_every"
TOKENS, HOLDERS, OWNER = "tokens", "holders", "owner"

RATE_EVERY_BLOCKS = 300
MOST_HOLDERS = 200
MOST_TOKENS = 200
MOST_BLOCKS = 10_000_000

OWN: Mapping[str, Sequence[str]] = {
    EVENTS: (*events.KEYS, CHECK_EVERY, IMPLEMENTATIONS, BALANCE_VIEW, HELD_ELSEWHERE),
    SHARES: (RATE_EVERY, IMPLEMENTATIONS),
    CUSTODY: (TOKENS, COIN, HOLDERS, OWNER),
}
"""What `holdings` says → the options that go with it."""

KEYS = (HOLDINGS, *dict.fromkeys(key for keys in OWN.values() for key in keys))

_ADDRESSES = {
    IMPLEMENTATIONS: "the implementations under which deposits count",
    TOKENS: "the tokens whose balances count",
    HOLDERS: "the addresses, beside the venue's own, whose balances count",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """Whose balances of what: `owner` has all of it, where configured, else each holder its own; `coin`: the chain's, if it counts."""

    holders: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    coin: Coin | None
    owner: bytes | None


def holdings_of(options: Mapping[str, object]) -> str:
    """Return what a venue holds: `events`, `shares` or `custody`."""
    return str(options.get(HOLDINGS, EVENTS))


def check_options(options: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the options of an escrow, each with what to write instead; empty for nothing."""
    kind = options.get(HOLDINGS, EVENTS)
    if not isinstance(kind, str) or kind not in OWN:
        return [f"{HOLDINGS}: is {shown(kind)}; write {EVENTS}, {SHARES} or {CUSTODY}"]
    problems = [
        f'{key}: does not go with {HOLDINGS} = "{kind}"; leave it out, or write {_homes(key)}'
        for key in KEYS
        if key in options and key != HOLDINGS and key not in OWN[str(kind)]
    ]
    if kind == EVENTS:
        problems += events.check_options(options) + _said(BALANCE_VIEW, lambda: balance_view(options))
        if not isinstance(options.get(HELD_ELSEWHERE, False), bool):
            problems.append(f"{HELD_ELSEWHERE}: is {shown(options[HELD_ELSEWHERE])}; write true or false")
    if kind == CUSTODY:
        problems += _custody_problems(options)
    for key in (CHECK_EVERY, RATE_EVERY):
        problems += _said(key, lambda key=key: _blocks(options, key, 1))  # type: ignore[misc]  # a default binds the key
    return problems + _said(IMPLEMENTATIONS, lambda: _addresses(options, IMPLEMENTATIONS, MOST_HOLDERS))


def normal(options: Mapping[str, object]) -> dict[str, Any]:
    """Return checked options in their one spelling: addresses with their checksums, texts as plain text."""
    return {key: _spelled(key, value) for key, value in options.items() if (key, value) != (HOLDINGS, EVENTS)}


def implementations_of(options: Mapping[str, object]) -> tuple[bytes, ...]:
    """Return the implementations under which deposits count; none where any does."""
    return _addresses(options, IMPLEMENTATIONS, MOST_HOLDERS)


def check_every(options: Mapping[str, object]) -> int:
    """Return after how many blocks each what the contract holds is compared with what is claimed; 0 for never."""
    return _blocks(options, CHECK_EVERY, 0)


def rate_every(options: Mapping[str, object]) -> int:
    """Return after how many blocks each a vault is asked what its shares are worth."""
    return _blocks(options, RATE_EVERY, RATE_EVERY_BLOCKS)


def custody_of(address: bytes, options: Mapping[str, object]) -> Custody:
    """Return whose balances count; raises `Malformed` for options that `check_options` finds fault with."""
    owner = options.get(OWNER)
    return Custody(
        holders=tuple(dict.fromkeys((address, *_addresses(options, HOLDERS, MOST_HOLDERS)))),
        tokens=_addresses(options, TOKENS, MOST_TOKENS),
        coin=coin_of(options) if COIN in options else None,
        owner=None if owner is None else _address(owner),
    )


def _custody_problems(options: Mapping[str, object]) -> list[str]:
    problems = []
    for key, most in ((TOKENS, MOST_TOKENS), (HOLDERS, MOST_HOLDERS)):
        problems += _said(key, lambda key=key, most=most: _addresses(options, key, most))  # type: ignore[misc]  # as above
    if COIN in options:
        problems += _said(COIN, lambda: coin_of(options))
    if OWNER in options:
        problems += _said(OWNER, lambda: _address(options[OWNER]))
    if TOKENS not in options and COIN not in options:
        problems.append(f"{TOKENS}: is missing; name {_ADDRESSES[TOKENS]}, or the chain's own with {COIN}")
    return problems


def _said(key: str, read: Callable[[], object]) -> list[str]:
    try:
        read()
    except Malformed as problem:
        return [f"{key}: {problem}"]
    return []


def _addresses(options: Mapping[str, object], key: str, most: int) -> tuple[bytes, ...]:
    written = options.get(key)
    if written is None:
        return ()
    if not isinstance(written, list | tuple) or not 1 <= len(written) <= most:
        raise Malformed(f"is {shown(written)}; write a list of {_ADDRESSES[key]}, {most} at most")
    found = tuple(_address(text) for text in written)
    if len(set(found)) < len(found):
        raise Malformed("names the same address twice")
    return found


def _address(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed(f"is {shown(text)}; write an address as text")
    try:
        return parse_address(EVM, text)
    except IdentifierError as error:
        raise Malformed(str(error)) from error


def _blocks(options: Mapping[str, object], key: str, usual: int) -> int:
    value = options.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not (key not in options or 1 <= value <= MOST_BLOCKS):
        raise Malformed(f"is {shown(value)}; write a number of blocks, 1 to {MOST_BLOCKS}")
    return value


def _spelled(key: str, value: object) -> object:
    if key in {*_ADDRESSES, OWNER, TOKEN, events.COIN_ADDRESS}:
        several = value if isinstance(value, list | tuple) else [value]
        spelled = [format_address(EVM, _address(text)) for text in several]
        return spelled if isinstance(value, list | tuple) else spelled[0]
    if isinstance(value, list | tuple):
        return [str(text) for text in value]
    return value if isinstance(value, int) else str(value)


def _homes(key: str) -> str:
    return " or ".join(f'{HOLDINGS} = "{kind}"' for kind, keys in OWN.items() if key in keys)
