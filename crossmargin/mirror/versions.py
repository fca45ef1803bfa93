"""What both sides must have in common for rows of one to mean the same in the other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from chains.derivations import version_of
from chains.registry import PROTOCOLS, derivation_changes, feed_changes
from crossmargin.packaged import program_version
from indexer.mirror import MirrorWrong
from indexer.store.migrate import newest_schema

FORMAT = 1
"""Of what is sent: one more with each change that the other side must know of."""


@cache
def derivations(chain_id: str) -> Mapping[str, int]:
    """The version of every protocol's derivation in this program, and of a chain's price sources."""
    found = {name: version_of(derivation_changes(name)) for name in PROTOCOLS}
    return found | {"feeds": version_of(feed_changes(chain_id))}


def made_by(chain_id: str) -> dict[str, Any]:
    """What this program is, for the other side."""
    return {
        "format": FORMAT,
        "program": program_version(),
        "schema": newest_schema(),
        "derivations": dict(derivations(chain_id)),
    }


def check(chain_id: str, theirs: object, label: str) -> None:
    """Refuse an indexer of another version; raises `MirrorWrong`, which says both."""
    ours = made_by(chain_id)
    if not isinstance(theirs, dict):
        raise MirrorWrong(f"{label} does not say which version it is; bring both to one")
    other = [name for name in ("format", "schema", "derivations") if theirs.get(name) != ours[name]]
    if not other:
        return
    said = ", ".join(_difference(name, theirs.get(name), ours[name]) for name in other)
    raise MirrorWrong(
        f"chain {chain_id}: the indexer at {label} is version {theirs.get('program')}, this is {ours['program']} ({said});"
        " nothing is taken from it until both are of one version"
    )


def _difference(name: str, theirs: object, ours: object) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        names = sorted(each for each in {*theirs, *ours} if theirs.get(each) != ours.get(each))
        return ", ".join(f"{name} of {each} {theirs.get(each)} there, {ours.get(each)} here" for each in names)
    return f"{name} {theirs} there, {ours} here"
