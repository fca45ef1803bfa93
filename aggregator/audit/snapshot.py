"""Write the book at one cut into a folder, all of it or nothing, and check such a folder.

The same store, configuration and cut give the same bytes in every file, whenever and wherever they are written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aggregator.audit import (
    account_verifier,
    copies,
    member_verifier,
    message_verifier,
    price_verifier,
    recomputed,
    state_verifier,
    states,
    tree_index,
    verifier,
)
from aggregator.audit.columns import ROWS_PER_GROUP, write_columns
from aggregator.audit.inputs import NoInputs
from aggregator.audit.lines import KEYS as ORDER
from aggregator.audit.lines import Columns, rows_hash
from aggregator.audit.manifest import FileEntry, Link, Manifest, TableEntry, decided, manifest, sha256_of, skews
from aggregator.audit.message_verifier import NOBODY, Trust
from aggregator.audit.parts import Rows
from aggregator.audit.report.content import report
from aggregator.audit.report.cover import Cover
from aggregator.audit.signing import Signer
from aggregator.audit.tables import SCHEMAS, held_schema, rows_of
from aggregator.audit.unfinished import unfinished
from aggregator.audit.verifier import KEYS, MANIFEST, POSITIONS, SIGNATURE, UNITS, Found, Json, Node, described, sha256
from aggregator.book import Book
from aggregator.margin.canonical import MalformedInputs
from aggregator.margin.inputs import METHODOLOGY_VERSION, OtherMethodology
from aggregator.margin.numbers import rfc3339
from aggregator.told import Told, each_told, untold
from chains.errors import Unsupported

SCRIPTS = {
    "verify.py": verifier.__file__,
    "verify_state.py": state_verifier.__file__,
    "verify_prices.py": price_verifier.__file__,
    "verify_members.py": member_verifier.__file__,
    "verify_messages.py": message_verifier.__file__,
    "verify_accounts.py": account_verifier.__file__,
}
"""The stand-alone verifiers, as they were when the snapshot was made; who trusts nobody takes them from elsewhere."""

REPORT = "report.html"
"""The snapshot for people."""

LOOKS = 2
"""How often a snapshot is gone through: by the stand-alone verifier, and more closely."""


def unseen(_folder: Path) -> None:
    """Nobody watches."""


AMOUNTS = ("amount_raw", "protocol_raw")
"""Columns whose values hardly repeat."""

UNREADABLE = verifier.UNREADABLE
"""What comes of inputs that say something which cannot be: a forger may write anything."""


class SnapshotExists(Exception):
    """A snapshot of this slot is there already, and it is another one; the message says which."""


def snapshot_id(slot_time: int) -> str:
    """Name a snapshot after the moment at which it was due: 20260131T000000Z."""
    return datetime.fromtimestamp(slot_time, UTC).strftime("%Y%m%dT%H%M%SZ")


def write_snapshot(
    root: Path,
    book: Book,
    *,
    slot_time: int,
    link: Link,
    signer: Signer,
    name: str | None = None,
    recorded: Collection[str] = (),
    expected: str | None = None,
    rows: Rows | None = None,
    told: Told = untold,
) -> tuple[Path, Manifest]:
    """Write a snapshot below `root`, signed, and return its folder and its manifest; its `name` is `snapshot_id` where none is given.

    `rows`: its tables, of a book whose accounts are nowhere else (`aggregator.audit.parts`).

    Written anew, the same snapshot stays as it is. Another one in its place raises `SnapshotExists` where its manifest's hash is
    `recorded`, and is what an interruption left where it is not: it then makes room. `expected`: the hash of the manifest of one that was
    made under this name; another one raises `SnapshotExists`.
    """
    root.mkdir(parents=True, exist_ok=True)
    target = root / (name or snapshot_id(slot_time))
    with unfinished(root, target.name) as partial:
        rows = rows or {name: Columns(table, held_schema(name)) for name, table in rows_of(book).items()}
        written = _write_files(partial, book, rows, slot_time=slot_time, link=link, signer=signer, told=told)
        if expected and written.hash != expected:
            raise SnapshotExists(
                f"{target.name} was made before with the manifest {expected}, and comes to {written.hash} now: nothing was written; "
                "copy that one back, or ask for another moment"
            )
        _settle(partial, target, written, recorded)
    return target, written


def verify(
    folder: Path,
    *,
    expected: str | None = None,
    key: str | None = None,
    witnesses: Sequence[str] = (),
    recompute: bool = False,
    apart: bool = False,
    trust: Trust | None = None,
    looked: Callable[[Path], None] = unseen,
) -> Found:
    """Check a snapshot as its stand-alone verifiers do, its Parquet copies, and that its state proofs read what protocols keep where.

    `expected`: the hash that the manifest itself must have, as a ledger or another snapshot names it. `recompute`: compute everything
    again from its inputs; raises `OtherMethodology` for one that another version made; `apart`: a large one in processes, and
    raises `PartFailed` where these die. `trust`: whose signatures of prices and messages count.
    `looked`: told of a folder each of the `LOOKS` times that it was gone through.
    """
    copied = Copied(key)
    found = verifier.verify(folder, key=key, witnesses=witnesses, sound=copied.is_sound)
    looked(folder)
    if expected not in {None, found.hash}:
        found.faults.append(f"{MANIFEST} has the hash {found.hash}, expected was {expected}")
    found = _closely(folder, found, trust, copied, recompute=recompute, apart=apart)
    looked(folder)
    return found


def verify_chain(
    folders: Iterable[Path],
    *,
    key: str | None = None,
    witnesses: Sequence[str] = (),
    recompute: bool = False,
    apart: bool = False,
    trust: Trust | None = None,
    looked: Callable[[Path], None] = unseen,
) -> dict[str, Found]:
    """Check snapshots likewise, and that each names the one that was made before it; by the names of their folders."""
    places = {folder.name: folder for folder in folders}
    copied = Copied(key)
    found = verifier.verify_chain(places.values(), key=key, witnesses=witnesses, sound=copied.is_sound)
    for folder in places.values():
        looked(folder)
    for name, each in found.items():
        _closely(places[name], each, trust, copied, recompute=recompute, apart=apart)
        looked(places[name])
    return found


class Copied:
    """Looks at tables by their Parquet copies first, and knows of which snapshots these were the same.

    Copies are opened only where the manifest is signed, by the operator where his key is known: files of others could be made to harm.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._folders: set[Path] = set()

    def is_sound(self, folder: Path, manifest: Json, run: verifier.Run) -> bool:
        """See `copies.is_sound`; where it says nothing, lines are read."""
        if self._is_signed(folder, manifest) and copies.is_sound(folder, manifest, run):
            self._folders.add(folder)
            return True
        return verifier.is_sound(folder, manifest, run)

    def _is_signed(self, folder: Path, manifest: Json) -> bool:
        found = Found(manifest=manifest)
        try:
            verifier.look_at_signature(folder, (folder / MANIFEST).read_bytes(), found, self._key)
        except (OSError, verifier.Fault, *UNREADABLE):
            return False
        return not found.faults

    def __contains__(self, folder: Path) -> bool:
        """Say whether all tables of a folder were found to have the rows of their copies."""
        return folder in self._folders


def _closely(folder: Path, found: Found, trust: Trust | None, copied: Copied, *, recompute: bool, apart: bool) -> Found:
    """Look at what the stand-alone verifier does not: Parquet copies, state proofs and their layouts."""
    if not found.faults and folder not in copied:
        found.faults += [
            f"{name}.parquet has other rows than {name}.ndjson"
            for name in found.manifest["tables"]
            if not _same_rows(folder, name, found.manifest)
        ]
    if not found.faults:
        found.faults += _indexed_and_proven(folder, found.manifest)
    if not found.faults:
        rest = [note for note in found.notes if not note.endswith(verifier.NOT_FOLLOWED)]
        found.notes = [*states.notes(folder), *_followed(folder, found, trust), *rest]
    if recompute and not found.faults:
        faults, notes = recompute_all(folder, found.manifest, apart=apart)
        found.faults += faults
        found.notes += notes
    return found


def recompute_all(folder: Path, manifest: Json, *, apart: bool = False) -> tuple[list[str], list[str]]:
    """Compute a whole snapshot again from its inputs (`apart` as in `verify`); returns faults and notes, raises `OtherMethodology`."""
    faults = list(_recomputed(folder, apart=apart))
    if faults:
        return faults, []
    accounts = manifest["tables"]["accounts"]["rows"]
    note = f"computed again from its inputs: {accounts} accounts; whether these are true, nodes can tell"
    return faults, [note, *_notes(folder, manifest)]


def _indexed_and_proven(folder: Path, manifest: Json) -> list[str]:
    try:
        return [*tree_index.faults(folder, manifest), *states.faults(folder)]
    except (OSError, verifier.Fault, *UNREADABLE) as error:
        return [f"the index or state proofs cannot be followed: {type(error).__name__} {error}"]


def _notes(folder: Path, manifest: Json) -> Iterator[str]:
    """Name files that are signed and of which no number is computed: what this version would have written is all that is known of them."""
    own = {name: sha256(Path(source).read_bytes()) for name, source in SCRIPTS.items()}
    own |= {REPORT: sha256(recomputed.page(folder, manifest, snapshot_id(recomputed.due(manifest))).encode("utf-8"))}
    tables = {f"{name}.{kind}" for name in ORDER for kind in ("ndjson", "parquet")}
    for name, entry in sorted(manifest["files"].items()):
        if name in own and own[name] != entry["sha256"]:
            yield f"{name} is not as this version writes it: believe the tables, and verifiers of somebody whom you trust"
        elif name not in own and name not in {*tables, *tree_index.FILES, KEYS}:
            yield f"{name}: nothing here knows what it is"


def _followed(folder: Path, found: Found, trust: Trust | None) -> list[str]:
    """Follow what was signed of prices, memberships and messages, and what was read of accounts, and return what has to be known of it."""
    try:
        looks = (
            price_verifier.checked(folder, trust and trust.guardians),
            member_verifier.checked(folder),
            message_verifier.checked(folder, trust or NOBODY),
            account_verifier.checked(folder),
        )
    except (OSError, verifier.Fault, *UNREADABLE) as error:
        found.faults.append(
            f"evidence of prices, members, messages and accounts cannot be followed: {type(error).__name__} {error}"
        )
        return []
    found.faults += [fault for each in looks for fault in each.faults]
    return [note for each in looks for note in each.notes]


def _recomputed(folder: Path, *, apart: bool) -> Iterator[str]:
    try:
        yield from recomputed.faults(folder, apart=apart)
    except OtherMethodology as error:
        said = json.loads((folder / MANIFEST).read_bytes())["methodology_version"]
        if said != METHODOLOGY_VERSION:
            raise
        yield f"inputs: {error}, and {MANIFEST} says {said}"
    except (OSError, *UNREADABLE, MalformedInputs, NoInputs, Unsupported, verifier.Fault) as error:
        yield f"it cannot be computed again: {type(error).__name__} {error}"


def _same_rows(folder: Path, name: str, manifest: Json) -> bool:
    try:
        return rows_hash(folder / f"{name}.parquet") == str(manifest["files"][f"{name}.ndjson"]["sha256"])
    except (OSError, pa.ArrowException, verifier.Fault, *UNREADABLE):
        return False


def manifest_hash(folder: Path) -> str:
    """Return the hash that names a snapshot."""
    return sha256((folder / MANIFEST).read_bytes())


def _write_files(
    folder: Path, book: Book, rows: Rows, *, slot_time: int, link: Link, signer: Signer, told: Told
) -> Manifest:
    root = write_tables(folder, {name: each.table for name, each in rows.items()}, told)
    (folder / KEYS).write_bytes(signer.keys_text())
    for name, source in SCRIPTS.items():
        shutil.copyfile(source, folder / name)
    cover = cover_of(book, snapshot_id(slot_time), slot_time=slot_time, root=root, link=link, signer=signer)
    (folder / REPORT).write_text(report(cover, rows), encoding="utf-8")
    written = manifest(
        slot_time=slot_time,
        book=book,
        files={
            path.name: FileEntry(sha256=sha256_of(path), bytes=path.stat().st_size)
            for path in each_told(told, "hashing files", [*folder.iterdir()])
        },
        tables={
            name: TableEntry(rows=len(table), columns=tuple(SCHEMAS[name]), key=ORDER[name])
            for name, table in rows.items()
        },
        root=root,
        link=link,
    )
    (folder / MANIFEST).write_text(written.text, encoding="utf-8")
    (folder / SIGNATURE).write_bytes(signer.signature_text(written.text.encode("utf-8")))
    return written


def write_tables(folder: Path, written: Mapping[str, pa.Table], told: Told = untold) -> Node:
    """Write tables as lines and as Parquet, and the index of the tree over units and positions, whose root is returned; raises `OSError`.

    The tree is built from the lines, by other processes where there are many.
    """
    with ThreadPoolExecutor(2) as beside:
        copies = beside.submit(_write_copies, folder, written)
        for name in each_told(told, "writing lines", (UNITS, POSITIONS)):
            write_columns(written[name], folder / f"{name}.ndjson")
        others = beside.submit(_write_lines, folder, written, written.keys() - {UNITS, POSITIONS})
        root = _root(folder, written, told)
        copies.result()
        others.result()
        return root


def _write_copies(folder: Path, written: Mapping[str, pa.Table]) -> None:
    for name, table in written.items():
        _write_parquet(table, folder / f"{name}.parquet")


def _write_lines(folder: Path, written: Mapping[str, pa.Table], names: Iterable[str]) -> None:
    for name in names:
        write_columns(written[name], folder / f"{name}.ndjson")


def _root(folder: Path, written: Mapping[str, pa.Table], told: Told) -> Node:
    terms = {name: (tuple(SCHEMAS[name]), ORDER[name]) for name in (UNITS, POSITIONS)}
    with verifier.hands_for(folder) as run:
        return tree_index.write(folder, written[UNITS], written[POSITIONS], terms, run, told=told)


def cover_of(book: Book, name: str, *, slot_time: int, root: Node, link: Link, signer: Signer) -> Cover:
    """Return what the report of a snapshot says beside its tables."""
    return Cover(
        name=name,
        slot_time=str(rfc3339(slot_time)),
        decided=decided(book),
        levels=book.levels,
        skews=skews(slot_time, book),
        tree=described(root),
        sequence=link.sequence,
        previous=link.previous,
        signer=next(entry for entry in signer.history if entry["key"] == signer.key),
    )


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write with every choice fixed, so that equal tables are equal files."""
    pq.write_table(
        table,
        path,
        row_group_size=ROWS_PER_GROUP,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in table.column_names if name not in AMOUNTS],
        write_statistics=True,
        store_schema=False,
    )


def _settle(partial: Path, target: Path, written: Manifest, recorded: Collection[str]) -> None:
    """Give a complete folder its name in one step, and let it outlive a power cut."""
    if target.exists():
        held = manifest_hash(target) if (target / MANIFEST).exists() else "no manifest"
        if held == written.hash:
            return
        if held in recorded or not (target / MANIFEST).exists():
            raise SnapshotExists(f"{target} holds another snapshot ({held}, not {written.hash}); move it away first")
        target.rename(_aside(target, held))
    for path in (*partial.iterdir(), partial):
        _sync(path)
    partial.chmod(0o755)
    partial.rename(target)
    _sync(target.parent)


def _aside(target: Path, held: str) -> Path:
    """Where a snapshot that nobody has in his ledger is put aside: nothing that was signed is deleted."""
    return target.with_name(f".aside-{target.name}-{held[-16:]}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
