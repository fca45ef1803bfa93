"""How programs made with Anchor tell their instructions and events apart: the first eight bytes of a hash of the name.

Source: the framework's `lang/syn` (`sighash`) and `lang/src/event.rs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

TAG = 8

EVENT_CALL = bytes.fromhex("e445a52e51cb9a1d")
"""An instruction by which a program calls itself to note an event."""


def instruction_tag(name: str) -> bytes:
    """Return what the data of an instruction begins with, by its name in snake case."""
    return sha256(f"global:{name}".encode()).digest()[:TAG]


def event_tag(name: str) -> bytes:
    """Return what an event begins with, by the name of its structure."""
    return sha256(f"event:{name}".encode()).digest()[:TAG]


def tags(names: Iterable[str]) -> dict[bytes, str]:
    """Return names of instructions by their tags."""
    return {instruction_tag(name): name for name in names}
