"""Values as a configuration writes them: each is turned into what is meant, or refused with what to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

from crossmargin.settings.environment import FromEnvironment

T = TypeVar("T")

SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ADDRESS_LIKE = re.compile(r"0[xX][0-9a-fA-F]{40}")
HEX_32 = re.compile(r"[0-9a-fA-F]{64}")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?")
PORTS = range(65_536)
LARGEST = 2**63 - 1
"""What a column of whole numbers holds."""

LONGEST_DAYS = 36_500
LONGEST_SHOWN = 80


class Unfit(ValueError):
    """A value that is not what its key means; the message goes on after the key's name."""


def shown(value: object) -> str:
    """Quote a value for a message; what came from the environment may be secret and is not quoted."""
    if isinstance(value, FromEnvironment):
        return "what the environment gives"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unfit(f"must be a text in quotes, not {shown(value)}")
    return value


def slug(value: object) -> str:
    """A name of our own: letters, digits, dot, dash, underscore."""
    if not isinstance(value, str) or not SLUG.fullmatch(value) or ADDRESS_LIKE.fullmatch(value):
        raise Unfit(f'must be a name of letters, digits, ".", "-" and "_" such as "acme-1", not {shown(value)}')
    return value


def boolean(value: object) -> bool:
    if isinstance(value, FromEnvironment) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise Unfit(f"must be true or false, not {shown(value)}")
    return value


def whole(value: object) -> int:
    if isinstance(value, FromEnvironment) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Unfit(f"must be a whole number, 0 or more, not {shown(value)}")
    if value > LARGEST:
        raise Unfit(f"must be a whole number of at most {LARGEST}, not {shown(value)}")
    return value


def port(value: object) -> int:
    number = whole(value)
    if number not in PORTS:
        raise Unfit(f"must be a port, 0 (any free one) to 65535, not {number}")
    return number


def duration(value: object) -> float:
    """Seconds, from "30s", "1h30m", "500ms"."""
    if not isinstance(value, str) or not DURATION.fullmatch(value):
        raise Unfit(f'must be a duration such as "30s", "1h" or "1d", not {shown(value)}')
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", value)
    seconds = sum(Decimal(number) * SECONDS[unit] for number, unit in parts)
    if seconds == 0:
        raise Unfit(f"must be longer than nothing, not {shown(value)}")
    if seconds > LONGEST_DAYS * SECONDS["d"]:
        raise Unfit(f"must be a duration of at most {LONGEST_DAYS} days, not {shown(value)}")
    return float(seconds)


def whole_seconds(value: object) -> int:
    seconds = duration(value)
    if seconds != int(seconds):
        raise Unfit(f'must be in whole seconds such as "30s" or "1h", not {shown(value)}')
    return int(seconds)


def percent(value: object) -> float:
    """A fraction, from "0.5%"."""
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unfit(f'must be a percentage such as "0.5%", not {shown(value)}')
    if Decimal(match[1]) >= 100:  # noqa: PLR2004 - percent
        raise Unfit(f"must be below 100%, not {shown(value)}")
    return float(Decimal(match[1]) / 100)


def key_32(value: object) -> bytes:
    """32 bytes in hex, with or without `0x`. Somebody may put a private key here, so that no message quotes it."""
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    if not HEX_32.fullmatch(digits):
        raise Unfit("must be 64 hexadecimal digits in quotes")
    return bytes.fromhex(digits)


def node(value: object) -> str:
    """The address of a node, for questions."""
    return _reachable(value, ("http", "https"), "https://node.example:8545/…")


def service(value: object) -> str:
    """The address of a running service; its key is another value, so that nothing of this one is secret but who wrote it so."""
    said = _reachable(value, ("http", "https"), "https://indexer.example:8080")
    if (parts := urlsplit(said)).query or parts.fragment:
        raise Unfit("must be the address of a service without a query")
    return said.rstrip("/")


def websocket(value: object) -> str:
    """The address of a node, for news."""
    return _reachable(value, ("ws", "wss"), "wss://node.example:8900/…")


def origin(value: object) -> str:
    """Where pages come from, as browsers write it."""
    if not isinstance(value, str) or not ORIGIN.fullmatch(value):
        raise Unfit(
            f'must be an origin such as "https://desk.example" (no path, no slash at the end), not {shown(value)}'
        )
    return value


def _reachable(value: object, schemes: tuple[str, ...], example: str) -> str:
    """The address of a node. It may hold a key, so that no message quotes it."""
    if not isinstance(value, str):
        raise Unfit(f"must be the address of a node in quotes, not {type(value).__name__}")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Unfit(f'must be an address such as "{example}" ({" or ".join(schemes)})')
    return value


def one_of(*known: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in known:
            raise Unfit(f"must be one of {', '.join(known)}, not {shown(value)}")
        return str(value)

    return parse


def several(parse: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A list with at least one item and none twice."""

    def parse_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or not value:
            raise Unfit(f"must be a list with at least one item, [ … ], not {_kind(value)}")
        items = tuple(_item(parse, item, number) for number, item in enumerate(value, start=1))
        if len(set(items)) != len(items):
            raise Unfit("names the same item twice")
        return items

    return parse_all


def one_or_several(parse: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A single item, or a list as `several` takes it."""
    listed = several(parse)

    def parse_any(value: object) -> tuple[T, ...]:
        return (parse(value),) if isinstance(value, str) else listed(value)

    return parse_any


def _item(parse: Callable[[object], T], value: object, number: int) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise Unfit(f"(item {number}) {error}") from error


def _kind(value: object) -> str:
    return "an empty list" if isinstance(value, list) else f"a single {type(value).__name__}"
