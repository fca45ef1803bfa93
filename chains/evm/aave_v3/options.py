"""What a venue's configuration says beyond its address, and what is wrong with it.

Forks number their code themselves. `revisions`: which version of the protocol's own each `POOL_REVISION` of the pool computes as;
then one that is not named is not valued. `token_revisions`: likewise how tokens of each revision round, "half-up" (to 3.4) or
"directed"; without it, tokens of a pool with `revisions` are known by revision 1 alone, which rounds half up. `wrappers`: owners that
hold for others (ERC-4626 wrappers, gateways), which are marked. `liquidity = "read"`: what aTokens hold is asked before 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from chains.evm.aave_v3.rounding import Rounding, rounding_of

T = TypeVar("T")

REVISIONS = "revisions"
TOKEN_REVISIONS = "token_revisions"  # noqa: S105 - the name of an option
WRAPPERS = "wrappers"
LIQUIDITY = "liquidity"
READ = "read"
KEYS = (REVISIONS, TOKEN_REVISIONS, WRAPPERS, LIQUIDITY)

VALUED = (WRAPPERS,)
"""What changes no row."""

VERSIONS: Mapping[str, int] = {"3.0": 1, "3.1": 4, "3.2": 5, "3.3": 7, "3.4": 8, "3.5": 9, "3.6": 10, "3.7": 11}
"""`POOL_REVISION` of each version of the protocol's own code."""

ROUNDINGS: Mapping[str, Rounding] = {"half-up": Rounding.HALF_UP, "directed": Rounding.DIRECTED}
_FIRST_TOKENS = {1: Rounding.HALF_UP}
_ADDRESS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The options of a venue; `None` where the protocol's own numbering holds."""

    revisions: Mapping[int, int] | None
    token_revisions: Mapping[int, Rounding] | None
    reads_liquidity: bool = False

    def pool(self, revision: int | None) -> int | None:
        """Return the revision of the protocol's own code that a pool of this revision computes as; `None` for none that is known."""
        return revision if self.revisions is None or revision is None else self.revisions.get(revision)

    def rounding(self, pool: int | None, token: int | None) -> Rounding | None:
        """Return how a token rounds, by its revision and its pool's; `None` for one that is not known."""
        if self.token_revisions is None:
            return rounding_of(pool, token)
        return None if token is None else self.token_revisions.get(token)


def terms_of(options: Mapping[str, Any]) -> Terms:
    """Read the options; raises `ValueError` that says what is wrong."""
    for each in _several(options.get(WRAPPERS, ())):
        _check_address(each)
    if (liquidity := options.get(LIQUIDITY, READ)) != READ:
        raise ValueError(f'{LIQUIDITY}: {liquidity!r} is not known; write "{READ}", or leave it out')
    revisions = _numbered(REVISIONS, options, VERSIONS)
    tokens = _numbered(TOKEN_REVISIONS, options, ROUNDINGS)
    return Terms(
        revisions=revisions,
        token_revisions=_FIRST_TOKENS if tokens is None and revisions is not None else tokens,
        reads_liquidity=LIQUIDITY in options,
    )


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a venue; empty for nothing."""
    try:
        terms_of(options)
    except ValueError as problem:
        return [str(problem)]
    return []


def _numbered(name: str, options: Mapping[str, Any], meanings: Mapping[str, T]) -> dict[int, T] | None:
    said = options.get(name)
    if said is None:
        return None
    if not isinstance(said, Mapping) or not said:
        raise ValueError(f'{name} must be a table such as {{ "1" = "{next(iter(meanings))}" }}')
    if wrong := [number for number in said if not str(number).isdecimal()]:
        raise ValueError(f"{name}: {wrong[0]!r} is no revision; write the number that the contract answers")
    if strange := [meaning for meaning in said.values() if not isinstance(meaning, str) or meaning not in meanings]:
        raise ValueError(f"{name}: {strange[0]!r} is not known; use one of {', '.join(meanings)}")
    return {int(number): meanings[meaning] for number, meaning in said.items()}


def _several(said: object) -> list[object]:
    if not isinstance(said, list | tuple):
        raise ValueError(f"{WRAPPERS} must be a list of addresses")  # noqa: TRY004 - the type of all that is wrong here
    return list(said)


def _check_address(text: object) -> None:
    try:
        raw = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != _ADDRESS or not str(text).startswith("0x"):
        raise ValueError(f"{WRAPPERS}: write addresses as 0x and 40 hexadecimal digits")
