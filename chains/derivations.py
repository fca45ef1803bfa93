"""What changed in how rows are derived: after which changes what is stored is not what this program would have stored.

A protocol's folder lists its own as `CHANGES`, oldest first, and `chains.<family>.oracles`, or `chains.pyth`, those of price sources. The
version of a derivation is one more than the number of its changes; a store keeps it with the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

UNRECORDED = 0
"""The version of rows that were made before versions were kept."""

FIRST = 1


class Remedy(StrEnum):
    """What mends rows of an earlier version, each more than the one before: derive again, read again, or index into a new store."""

    REBUILD = "rebuild"
    RESTATE = "restate"
    ANEW = "anew"


class Change(NamedTuple):
    """One change: what rows of before lack, and what mends them."""

    what: str
    remedy: Remedy


class Lack(NamedTuple):
    """What rows of an earlier version lack, and the strongest remedy that any of it needs."""

    what: tuple[str, ...]
    remedy: Remedy


def version_of(changes: Sequence[Change]) -> int:
    """Return the version of a derivation with these changes."""
    return FIRST + len(changes)


def lack_of(changes: Sequence[Change], version: int, *, reread: bool) -> Lack | None:
    """Return what rows of a version lack, `None` where nothing is lacking; `reread`: whether the chain can be read again as of the past."""
    if version == UNRECORDED:
        what = "which version made it was not kept then, so that anything that changed since may be lacking"
        return Lack((what,), Remedy.RESTATE if reread else Remedy.ANEW)
    missing = changes[version - FIRST :]
    if not missing:
        return None
    remedies = list(Remedy)
    strongest = max((change.remedy for change in missing), key=remedies.index)
    remedy = Remedy.ANEW if strongest is Remedy.RESTATE and not reread else strongest
    return Lack(tuple(change.what for change in missing), remedy)
