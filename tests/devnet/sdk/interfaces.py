"""What packages of the registries say of accounts: where each field stands, by Anchor's interface descriptions (old and new specification).

A structure of the new specification that says `repr: c` is laid out as C does, with numbers of 16 bytes aligned to 8, as the programs'
compiler had them; every other one is packed, as Borsh writes it. Descriptions of the old specification do not say: their coder reads them
packed, so a program whose accounts had gaps could not be read by its own SDK.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.devnet.sdk.environments import NODE_MODULES, NODE_ROOM, node

Idl = Mapping[str, Any]

DISCRIMINATOR = 8
_SCALARS = {f"{sign}{bits}": bits // 8 for sign in "ui" for bits in (8, 16, 32, 64, 128)} | {
    "bool": 1,
    "f32": 4,
    "f64": 8,
    "publicKey": 32,
    "pubkey": 32,
}
_BYTE_ALIGNED = {"publicKey", "pubkey", "bool"}
_LARGEST_ALIGNMENT = 8
_LENGTH = "u32"
"""How many elements a list has, before them."""


class VariableSize(Exception):
    """A type whose size its bytes decide."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """Something at an offset: a field, a structure in it, or an array of `count` elements, whose nodes begin at 0."""

    path: str
    offset: int
    size: int
    kind: str
    count: int = 1
    inside: Sequence[Node] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Described:
    """An account or a structure as described: nodes in order; `size` is `None` where its bytes decide."""

    source: str
    size: int | None
    discriminator: bytes
    nodes: Sequence[Node]


def described(idl: Idl, name: str, source: str) -> Described | None:
    """Return the account, else the structure of this name; `None` where there is neither."""
    types = Types(idl)
    account = next((each for each in idl["accounts"] if pascal(each["name"]) == name), None)
    if account is None and name not in types.known:
        return None
    if account is None:
        return types.structure(name, types.known[name], 0, b"", source)
    declared = account if "type" in account else types.known[account["name"]]
    said = account.get("discriminator")
    start = hashlib.sha256(f"account:{name}".encode()).digest()[:DISCRIMINATOR] if said is None else bytes(said)
    return types.structure(name, declared, DISCRIMINATOR, start, source)


class Types:
    """The types of one description."""

    def __init__(self, idl: Idl) -> None:
        self.known: dict[str, Mapping[str, Any]] = {each["name"]: each for each in idl["types"]}

    def structure(self, name: str, declared: Mapping[str, Any], start: int, begins: bytes, source: str) -> Described:
        """Return a structure with its nodes from `start` on, up to the first whose size is not fixed."""
        nodes: list[Node] = []
        size: int | None = start
        try:
            for each, at in self._places(declared, start):
                for found in self.nodes(each["type"], at, each["name"]):
                    nodes.append(found)  # noqa: PERF402 - what came before a list stays
                size = at + self.size(each["type"])
            size = start + self.size({"defined": name}) if name in self.known else size
        except VariableSize:
            size = None
        return Described(source=source, size=size, discriminator=begins, nodes=nodes)

    def nodes(self, kind: Any, at: int, path: str) -> Iterator[Node]:
        """Yield what stands at an offset: the thing itself, and what is in it."""
        if isinstance(kind, dict) and "vec" in kind:
            yield Node(path=path, offset=at, size=_SCALARS[_LENGTH], kind=_LENGTH)
        size = self.size(kind)
        match kind:
            case {"array": [element, int(count)]}:
                inside = list(self.nodes(element, 0, path))
                yield Node(
                    path=path, offset=at, size=size, kind=f"[{named(element)};{count}]", count=count, inside=inside
                )
            case {"defined": _}:
                declared = self.known[named(kind)]
                enum = declared["type"]["kind"] == "enum"
                inside = (
                    []
                    if enum
                    else [n for each, o in self._places(declared, 0) for n in self.nodes(each["type"], o, each["name"])]
                )
                yield Node(path=path, offset=at, size=size, kind="enum" if enum else "struct", inside=inside)
                for each, offset in [] if enum else self._places(declared, at):
                    yield from self.nodes(each["type"], offset, f"{path}.{each['name']}")
            case _:
                yield Node(path=path, offset=at, size=size, kind=named(kind))

    def size(self, kind: Any) -> int:
        """Return a type's size in bytes; raises `VariableSize`."""
        match kind:
            case {"array": [element, int(count)]}:
                return count * self.size(element)
            case {"defined": _}:
                declared = self.known[named(kind)]
                if declared["type"]["kind"] == "enum":
                    if any(variant.get("fields") for variant in declared["type"]["variants"]):
                        raise VariableSize(named(kind))
                    return 1
                end = max((at + self.size(each["type"]) for each, at in self._places(declared, 0)), default=0)
                return -(-end // self.alignment(kind)) * self.alignment(kind)
            case str() if kind in _SCALARS:
                return _SCALARS[kind]
            case _:
                raise VariableSize(str(kind))

    def alignment(self, kind: Any) -> int:
        """Return what a type's offset in a structure of C is a multiple of."""
        match kind:
            case {"array": [element, _]}:
                return self.alignment(element)
            case {"defined": _}:
                declared = self.known[named(kind)]
                fields = declared["type"].get("fields", [])
                return max((self.alignment(each["type"]) for each in fields), default=1) if of_c(declared) else 1
            case _:
                return 1 if kind in _BYTE_ALIGNED else min(self.size(kind), _LARGEST_ALIGNMENT)

    def _places(self, declared: Mapping[str, Any], start: int) -> Iterator[tuple[Mapping[str, Any], int]]:
        at = start
        for each in declared["type"].get("fields", []):
            step = self.alignment(each["type"]) if of_c(declared) else 1
            at = start - (start - at) // step * step
            yield each, at
            at += self.size(each["type"])


def of_c(declared: Mapping[str, Any]) -> bool:
    """Whether a structure is laid out as C does."""
    said = declared.get("repr") or {}
    return said.get("kind") == "c" and not said.get("packed")


def named(kind: Any) -> str:
    """Return a type as text."""
    match kind:
        case {"defined": {"name": str(name)}} | {"defined": str(name)}:
            return name
        case _:
            return str(kind)


def pascal(name: str) -> str:
    """Return an account's name as its discriminator is made of: the first letter is a capital."""
    return name[:1].upper() + name[1:]


def idl_of(package: str, file: str) -> tuple[Idl, str]:
    """Return a description that a package has as a file, and what to call it; raises `MissingPart`."""
    node()
    root = NODE_MODULES / package
    version = json.loads((root / "package.json").read_text(encoding="utf-8"))["version"]
    return json.loads((root / file).read_text(encoding="utf-8")), f"{package} {version} {file}"


@cache
def in_javascript() -> Mapping[str, Any]:
    """Return what packages describe in JavaScript alone (`node/interfaces.js`); raises `MissingPart`."""
    command = [node(), NODE_ROOM / "interfaces.js"]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout))


def jupiter(program: str) -> tuple[Idl, str]:
    """Return the description of one of Jupiter Lend's programs."""
    (found,) = (idl for idl in in_javascript()["jupiter"] if idl["metadata"]["name"] == program)
    return found, f"@jup-ag/lend-read, program {program}"


def solend(name: str) -> Described | None:
    """Return a packed account of Solend's SDK; its numbers have sizes and no types."""
    found = in_javascript()["solend"].get(name)
    if found is None:
        return None
    nodes = [Node(path=path, offset=at, size=size, kind="") for path, at, size in found["fields"]]
    return Described(source=f"@solendprotocol/solend-sdk {name}", size=found["size"], discriminator=b"", nodes=nodes)


def squeezed(text: str) -> str:
    """Return a name without what spells it: `lastUpdate.slot` and `last_update_slot` are alike."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
