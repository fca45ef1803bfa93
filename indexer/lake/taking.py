"""Taking a set over into a store of a reader's own: all chains in one transaction, so that nobody sees two cut-offs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from indexer.lake.contents import OF_NO_CHAIN, STORED
from indexer.lake.sets import LakeBroken, LakeFile, LakeSet
from indexer.lake.storage import Lake
from indexer.store import Store
from indexer.store.journals import DERIVED
from indexer.store.migrate import newest_schema
from indexer.store.raw import family
from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement
from indexer.store.tips import rebuild_tips

Chains = Mapping[str, list[LakeFile]]
"""The files of a table by chain, in the order of their blocks."""

BY_BLOCKS = {journal.name: "block_number" for journal in DERIVED}
"""Tables of which the rows of unchanged files stay, by their column of blocks."""


def take(
    store: Store, lake: Lake, made: LakeSet, held: LakeSet | None, *, besides: Callable[[Con], None] = lambda _con: None
) -> None:
    """Let a store hold what a set says, and nothing else of any chain; `held`: the set that it holds now.

    `besides`: what else has to change in the same transaction. Each file is checked as it is read; on any fault the store stays as it
    was. Raises `StoreError`.
    """
    if made.made_by != newest_schema():
        raise LakeBroken(
            f"{lake.name}: its set was made by a store of schema {made.made_by}, this program knows {newest_schema()}; "
            "bring indexers and readers to one version"
        )
    with store.refilling() as con:
        for name in sorted({*made.tables, *(held.tables if held else ())}):
            if name.startswith(STORED):
                wanted, before = (_by_chain(each.tables.get(name, ()) if each else ()) for each in (made, held))
                _take_table(con, lake, name.removeprefix(STORED), wanted, before)
        con.execute(statement("empty", table="lake_set"))
        insert(con, "lake_set", (made.id, made.cut_at))
        for chain_id in {*made.cut, *(held.cut if held else ())}:
            rebuild_tips(con, chain_id)
        besides(con)


def _take_table(con: Con, lake: Lake, table: str, wanted: Chains, before: Chains) -> None:
    """Replace the rows of one table, of each chain from the first file on that is another one than before."""
    columns = _columns(con, table)
    for chain_id in sorted({*wanted, *before}):
        files, old = wanted.get(chain_id, []), before.get(chain_id, [])
        if files == old:
            continue
        block = _block_column(table, chain_id)
        same = 0 if block is None else _same(files, old)
        _delete(con, table, chain_id, block, files[same - 1].last + 1 if same else None)
        for file in files[same:]:
            _add(con, lake, table, columns, file)


def _add(con: Con, lake: Lake, table: str, columns: Sequence[str], file: LakeFile) -> None:
    rows = lake.rows(file)
    if rows.num_rows != file.rows:
        raise LakeBroken(f"{lake.name}: {file.path} has {rows.num_rows} rows, and was published with {file.rows}")
    with staged(con, rows.select(columns)):
        con.execute(statement("lake_take", table=table))


def _same(files: Sequence[LakeFile], old: Sequence[LakeFile]) -> int:
    """How many files at the beginning are those of before."""
    return next(
        (at for at, (one, other) in enumerate(zip(files, old, strict=False)) if one != other), min(len(files), len(old))
    )


def _delete(con: Con, table: str, chain_id: str, block: str | None, first: int | None) -> None:
    if chain_id == OF_NO_CHAIN:
        con.execute(statement("empty", table=table))
        return
    above = "" if block is None or first is None else f" AND {block} >= {first}"
    con.execute(f"DELETE FROM main.{table} WHERE chain_id = $chain_id{above}", {"chain_id": chain_id})  # noqa: S608 - our own names


def _block_column(table: str, chain_id: str) -> str | None:
    blocks = family(chain_id).blocks
    return blocks.block if table == blocks.name else BY_BLOCKS.get(table)


def _columns(con: Con, table: str) -> list[str]:
    ask = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = $table ORDER BY column_index"
    return [str(name) for (name,) in con.execute(ask, {"table": table}).fetchall()]


def _by_chain(files: Iterable[LakeFile]) -> dict[str, list[LakeFile]]:
    found: dict[str, list[LakeFile]] = {}
    for file in files:
        found.setdefault(file.chain_id, []).append(file)
    return {chain_id: sorted(each, key=lambda file: file.first) for chain_id, each in found.items()}
