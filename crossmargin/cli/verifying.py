"""`snapshot verify`: all that can be said of a snapshot without its operator."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, words
from crossmargin.cli.progress import counted_on
from crossmargin.cli.reading import read_text, readable
from crossmargin.cli.snapshots import found_folder
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, NotComparable, Unverified, UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from aggregator.audit.message_verifier import Trust
    from aggregator.audit.verifier import Found


LARGEST_TRUST = 1 << 20
KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What is to be looked at beside files, tree, signature and proofs.

    `key`: a public key that is known to be the operator's; `witnesses`: those that must have signed. `chain`: all snapshots of a folder.
    `recompute`: every number from the inputs in the snapshot. `nodes`: addresses of nodes to compare `sample` units of each venue with,
    which `seed` chooses (`None`: by chance). `guardians`: a file of those who must have signed prices and messages. `tsa_certificates`:
    files of authorities of time stamps, one of which must have made one.
    """

    key: str | None = None
    witnesses: Sequence[str] = ()
    chain: bool = False
    recompute: bool = False
    nodes: Sequence[str] = ()
    sample: int | None = None
    seed: str | None = None
    guardians: Path | None = None
    tsa_certificates: Sequence[Path] = ()


def verify(context: Context, folder: Path, checks: Checks) -> None:
    """Check a snapshot, or all of a folder; raises `Unverified` with every fault, and `NotComparable`."""
    from aggregator.audit import snapshot
    from aggregator.margin.inputs import OtherMethodology

    if checks.chain and checks.nodes:
        raise UsageError("--against-node compares one snapshot: leave out --chain")
    key = None if checks.key is None else _key("--key", checks.key)
    witnesses = [_key("--witness", each) for each in checks.witnesses]
    folders = _folders(context, folder, checks)
    ways = partial(snapshot.verify_chain, folders) if checks.chain else partial(_verify_one, folders[0])
    trust, recompute = _trust(checks.guardians), checks.recompute or bool(checks.nodes)
    total = sum(map(size_of, folders)) * snapshot.LOOKS
    try:
        with counted_on(context, "verifying", total) as told:
            found = ways(
                key=key,
                witnesses=witnesses,
                recompute=recompute,
                apart=True,
                trust=trust,
                looked=lambda each: told(size_of(each)),
            )
    except OtherMethodology as error:
        raise NotComparable(f"{folder} cannot be computed again: {error}; use the version that made it") from error
    _stamps({each: found[each.name] for each in folders}, checks.tsa_certificates)
    if checks.nodes and not any(each.faults for each in found.values()):
        _compare(folders[0], found[folders[0].name], checks)
    faults = [f"{name}: {fault}" for name, each in found.items() for fault in each.faults]
    if faults:
        raise Unverified(f"{folder} is not what it says it is: {'; '.join(faults)}")
    items = [
        {"snapshot": name, "manifest_hash": each.hash, "faults": [], "notes": each.notes}
        for name, each in sorted(found.items())
    ]
    emit(context, {"snapshots": items} if checks.chain else items[0], lambda console: _show(console, items))


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; what is not there has none."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def _verify_one(
    folder: Path,
    *,
    key: str | None,
    witnesses: Sequence[str],
    recompute: bool,
    apart: bool,
    trust: Trust | None,
    looked: Callable[[Path], None],
) -> dict[str, Found]:
    from aggregator.audit import snapshot

    found = snapshot.verify(
        folder, key=key, witnesses=witnesses, recompute=recompute, apart=apart, trust=trust, looked=looked
    )
    return {folder.name: found}


def _key(option: str, said: str) -> str:
    """Return a public key as snapshots have it; raises `UsageError`: what is none must not look like somebody else's."""
    found = KEY.fullmatch(said)
    if found is None:
        raise UsageError(f"{option}: a public key has 64 hexadecimal digits, as `crossmargin keys list` shows them")
    return found[1].lower()


def _trust(file: Path | None) -> Trust | None:
    """Read whose signatures of prices and messages count; raises `UsageError`."""
    if file is None:
        return None
    from aggregator.audit.message_verifier import trust_in

    text = read_text(file, most=LARGEST_TRUST, instead=", and no list of guardians and bridges is")
    try:
        return trust_in(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        wanted = '[{"index": 4, "addresses": ["0x…"], "until": null}]'
        raise UsageError(
            f"--guardians: {file} must hold sets such as {wanted} ({type(error).__name__} {error})"
        ) from error


def _stamps(found: Mapping[Path, Found], files: Sequence[Path]) -> None:
    """Check time stamps, where an authority is named; raises `UsageError`."""
    if not files:
        return
    from aggregator.audit import stamps

    try:
        authorities = [each for path in files for each in _certificates(path)]
        for folder, each in found.items():
            if not each.faults:
                stamps.look(folder, each, authorities)
    except stamps.NoStamps as error:
        raise UsageError(str(error)) from error


def _certificates(path: Path) -> list[Certificate]:
    from aggregator.audit import stamps

    try:
        with readable(path):
            return stamps.certificates(path)
    except ValueError as error:
        raise UsageError(f"--tsa-cert: {path} holds no certificates in PEM") from error


def _compare(folder: Path, found: Found, checks: Checks) -> None:
    """Compare a snapshot with nodes; raises `NotComparable` where these say nothing of it."""
    from aggregator.audit.inputs import read
    from aggregator.audit.verifier import lines_of
    from crossmargin.rereading import SAMPLE, reread

    seed = checks.seed or secrets.token_hex(4)
    rows = [json.loads(line) for line in lines_of(folder, "account_bytes")]
    hashes = {(row["venue_id"], row["unit_id"]): row["sha256"] for row in rows}
    there = reread(read(folder), checks.nodes, sample=checks.sample or SAMPLE, seed=seed, hashes=hashes)
    found.faults += there.faults
    found.notes += [*there.notes, f"compared with nodes: {there.compared} numbers, of the sample of seed {seed}"]
    if not there.compared and not there.faults:
        raise NotComparable(f"{folder} is intact, and nothing of it could be compared: {'; '.join(there.notes)}")


def _folders(context: Context, folder: Path, checks: Checks) -> list[Path]:
    if not checks.chain:
        return [found_folder(context, folder)]
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    if not found:
        raise NoSuchThing(f"there is no snapshot in {folder}")
    return found


def _show(console: Console, items: Sequence[Document]) -> None:
    for item in items:
        console.print(words(f"{item['snapshot']} is intact: {item['manifest_hash']}", "green"))
        for note in item["notes"]:
            console.print(words(f"  {note}"))
