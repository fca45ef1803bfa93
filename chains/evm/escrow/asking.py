"""The view by which a vault itself says what an account has of a token, as its operator declares it.

Option: `balance_view`, such as `balances(address account, address token) returns (uint256)`. Parameters are taken by name, as those of
events are; without a `token` it is the vault's only one that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from chains.escrow import BALANCE_VIEW
from chains.evm.abi import Function
from chains.evm.escrow.declarations import ADDRESS, ID, TOKEN, Malformed, parse_declaration, shown
from chains.evm.escrow.events import OWNER_EVENT

LIKE = "balances(address account, address token) returns (uint256)"

_VIEW = re.compile(
    r"\s*(?:function\s+)?(?P<call>[A-Za-z_$][\w$]*\s*\([^()]*\))[\w\s]*?(?:returns\s*\(\s*(?P<type>u?int\d*)\b[^()]*\))?\s*;?\s*",
    re.ASCII,
)


class BalanceView(NamedTuple):
    """A view of what an account has; `order`: which of `account` and `token` it takes first, second."""

    function: Function
    order: tuple[str, ...]
    types: tuple[str, ...]
    signed: bool

    def calldata(self, account: bytes, token: bytes) -> bytes:
        """Return the question about one account and one token."""
        given = {"account": account, TOKEN: token}
        return self.function.calldata(
            *(_argument(given[name], kind) for name, kind in zip(self.order, self.types, strict=True))
        )


def balance_view(options: Mapping[str, object]) -> BalanceView | None:
    """Read the option, `None` where it is not given; raises `Malformed`."""
    text = options.get(BALANCE_VIEW)
    if text is None:
        return None
    match = _VIEW.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Malformed(f"is {shown(text)}; write the view like {LIKE}")
    event = parse_declaration(match["call"], {"account": ID if OWNER_EVENT in options else ADDRESS})
    names = tuple(argument.name for argument in event.arguments)
    types = tuple(argument.type for argument in event.arguments)
    if set(names) - {"account", TOKEN} or dict(zip(names, types, strict=True)).get(TOKEN, "address") != "address":
        raise Malformed(f"is {shown(text)}; it may take the account and the address of the token, like {LIKE}")
    result = match["type"] or "uint256"
    return BalanceView(Function(f"{event.name}({','.join(types)})"), names, types, not result.startswith("u"))


def _argument(given: bytes, kind: str) -> object:
    """Return an account or a token as its type encodes; ids are words, right-aligned for numbers and left-aligned for bytes."""
    if kind == "address":
        return "0x" + given.hex()
    if kind.startswith("uint"):
        return int.from_bytes(given)
    return given[: int(kind.removeprefix("bytes"))]
