"""The snapshots that were made, for whoever asks about them: which there are, one of them, what is in it, a proof, what changed since.

It needs the folder alone; a ledger, where there is one, adds the slots that have no snapshot and what was restated since.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aggregator.audit.difference import AFTER, BEFORE, COMPARED, MOST_ROWS, cause, difference
from aggregator.audit.pack import Pack, open_pack
from aggregator.audit.proofs import NotThere, prove
from aggregator.audit.verifier import MANIFEST, SIGNATURE, Fault
from chains.identifiers import EVM, namespace_of
from chains.model import Finality
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, Unverified
from crossmargin.rows import rows_document
from crossmargin.sql.answers import TEXT, Answer, Form
from crossmargin.sql.formats import table_answer, text_answer
from indexer.store.parquet import parquet_views

LONGEST_NAME = 60
WITNESSES = re.compile(r"(witness-[\w.-]+\.json)|(timestamp-[\w.-]+\.tsr)")
"""Files that came beside a snapshot after it was signed; each is a signature itself."""

SQL_TIMEOUT_S = 60.0
SQL_ROWS = 100_000
SQL_BYTES = 1 << 30
SQL_MEMORY = "1GB"

Sql = Callable[[str], Document]
"""Answers a SELECT over the public views of a store."""

RESTATED = """
SELECT r.chain_id, r.interest, r.from_block, r.cause, CAST(epoch(r.restated_at) AS BIGINT) AS restated_at
FROM public.restatement AS r
WHERE r.changed
    AND r.restated_at >= (SELECT min(created_at) FROM public.snapshot WHERE manifest_hash IN ('{first}', '{second}'))
    AND r.restated_at <= (SELECT max(created_at) FROM public.snapshot WHERE manifest_hash IN ('{first}', '{second}'))
ORDER BY ALL
"""
"""What was restated between the making of two snapshots; their hashes are our own."""

STORED = "SELECT '0x' || lower(hex(hash)) FROM main.block WHERE chain_id = '{chain}' AND number = {number}"
LATEST = Finality.LATEST.value


class Archive:
    """The snapshots in a folder; `sql`, where a store can be asked, for what its ledgers know."""

    def __init__(self, folder: Path, sql: Sql | None = None) -> None:
        self.folder = folder
        self._sql = sql

    def names(self) -> list[str]:
        """Return the snapshots that are there, the oldest first."""
        return sorted(path.parent.name for path in self.folder.glob(f"[!.]*/{MANIFEST}"))

    def opened(self, name: str | Path) -> Pack:
        """Open a snapshot by its name or its folder; raises `NoSuchThing`, and `Unverified` for one that is not as it was signed."""
        folder = self.folder_of(name)
        try:
            return open_pack(folder)
        except (Fault, KeyError, OSError, TypeError, ValueError) as error:
            raise Unverified(f"{folder} is no intact snapshot: {error}") from error

    def folder_of(self, name: str | Path) -> Path:
        """Return the folder of a snapshot; raises `NoSuchThing`."""
        path = Path(name)
        if path.is_dir():
            return path
        if len(path.parts) == 1 and (named := self.folder / path).is_dir():
            return named
        raise NoSuchThing(f"there is no snapshot {name} here or in {self.folder}; see `crossmargin snapshot list`")

    def named(self, name: str) -> Path:
        """Return the folder of a snapshot by its name alone, for whoever must not choose a folder; raises `NoSuchThing`."""
        if name not in self.names():
            raise NoSuchThing(f"there is no snapshot {name[:LONGEST_NAME]!r}; the list of snapshots names them")
        return self.folder / name

    def file(self, name: str, file: str) -> Path:
        """Return a file of a snapshot by both names, once its hash was compared; raises `NoSuchThing` and `Unverified`."""
        pack = self.opened(self.named(name))
        if file in {MANIFEST, SIGNATURE} or (WITNESSES.fullmatch(file) and (pack.folder / file).is_file()):
            return pack.folder / file
        if file not in pack.manifest["files"]:
            raise NoSuchThing(f"{pack.name} has no {file[:LONGEST_NAME]!r}; its manifest names its files")
        try:
            return pack.checked(file)
        except (Fault, OSError) as error:
            raise Unverified(f"{pack.name} is no intact snapshot: {error}") from error

    def intact(self, name: str) -> Pack:
        """Open a snapshot by its name alone, once the hashes of its Parquet copies were compared."""
        pack = self.opened(self.named(name))
        _checked(pack)
        return pack

    def manifest(self, name: str | Path) -> Document:
        """Return what a snapshot says of itself, with its name and hash."""
        pack = self.opened(name)
        return {"snapshot": pack.name, "manifest_hash": pack.hash, "manifest": pack.manifest}

    def proof(self, name: str | Path, account: str) -> Document:
        """Return the proof that an account is in a snapshot; raises `NoSuchThing` and `Unverified`."""
        pack = self.opened(name)
        try:
            return prove(pack.folder, account)
        except NotThere as error:
            raise NoSuchThing(str(error)) from error
        except (Fault, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise Unverified(f"{pack.folder} is no intact snapshot: {error}") from error

    def query(self, name: str | Path, sql: str) -> Document:
        """Answer one SELECT over the tables of a snapshot, once their hashes were compared; the answer names the snapshot's."""
        pack = self.opened(name)
        with parquet_views(_checked(pack), memory=SQL_MEMORY) as views:
            found = views.query(sql, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS)
        return {**rows_document(found), "snapshot": pack.name, "manifest_hash": pack.hash}

    def rows(self, name: str | Path, sql: str, form: Form, *, formulas: bool) -> Answer:
        """Answer one likewise, with the rows as bytes of some form."""
        with parquet_views(_checked(self.opened(name)), memory=SQL_MEMORY) as views:
            if form in TEXT:
                result = views.query(sql, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS)
                return text_answer(result, form, formulas=formulas, most_bytes=SQL_BYTES)
            table = views.query_table(sql, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS)
            return table_answer(table, form, most_bytes=SQL_BYTES)

    def difference(self, first: str | Path, second: str | Path, *, most: int = MOST_ROWS) -> Document:
        """Say what became otherwise between two snapshots, and why; see `aggregator.audit.difference`."""
        before, after = self.opened(first), self.opened(second)
        files = {
            f"{side}.{name}": path for side, pack in ((BEFORE, before), (AFTER, after)) for name, path in _some(pack)
        }
        with parquet_views(files, memory=SQL_MEMORY) as views:
            found = difference(before, after, views, most=most)
        restated = (
            None if self._sql is None else [*_left(self._sql, before, after), *_restated(self._sql, before, after)]
        )
        known = [*found["causes"], *(restated or ())]
        if not known and not found["same"]:
            known = [cause("unexplained", None, "the same blocks, method, policy and configuration came to other rows")]
        return found | {"causes": known, "ledger_asked": restated is not None}


class SnapshotTables:
    """One snapshot of an archive, asked as a store is."""

    def __init__(self, archive: Archive, name: str | Path) -> None:
        self._archive = archive
        self._name = name

    def sql(self, query: str) -> Document:
        """Return the rows of one SELECT, with the snapshot's name and hash."""
        return self._archive.query(self._name, query)

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        """Return the rows of one SELECT as bytes of some form."""
        return self._archive.rows(self._name, query, form, formulas=formulas)


def _restated(sql: Sql, before: Pack, after: Pack) -> Iterator[dict[str, Any]]:
    """Name what of the blocks up to either cut was read again, and found to be otherwise, between both."""
    for chain, interest, first, why, _ in sql(RESTATED.format(first=before.hash, second=after.hash))["rows"]:
        cuts = [pack.manifest["cut"][chain]["block"] for pack in (before, after) if chain in pack.manifest["cut"]]
        if cuts and int(first) <= max(cuts):
            yield cause("restatement", chain, f"{interest} from block {first} on: {why}")


def _left(sql: Sql, before: Pack, after: Pack) -> Iterator[dict[str, Any]]:
    """Name blocks of a cut that were not final and that their chain has left since."""
    for pack in (before, after):
        for chain, place in pack.manifest["cut"].items():
            if place["finality"] != LATEST or namespace_of(chain) != EVM:
                continue
            held = sql(STORED.format(chain=chain, number=int(place["block"])))["rows"]
            if held and held[0][0] != place["hash"]:
                yield cause("reorg", chain, f"block {place['block']} of {pack.name} was left: it is {held[0][0]} now")


def _checked(pack: Pack) -> dict[str, Path]:
    try:
        return pack.copies()
    except (Fault, OSError) as error:
        raise Unverified(f"{pack.folder} is no intact snapshot: {error}") from error


def _some(pack: Pack) -> Iterator[tuple[str, Path]]:
    wanted = [name for name in COMPARED if name in pack.tables]
    try:
        yield from pack.copies(wanted).items()
    except (Fault, OSError) as error:
        raise Unverified(f"{pack.folder} is no intact snapshot: {error}") from error
