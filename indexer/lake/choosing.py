"""Which part is taken where a chain has several of one cut-off: two processes index it, or one published it again."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from indexer.lake.contents import facts_of
from indexer.lake.sets import LakeBroken, LakeFile, LakeSet
from indexer.lake.storage import Lake


def fullest(lake: Lake, parts: Sequence[LakeSet]) -> LakeSet:
    """Return the part that has every row of facts that any other has, whatever their order; raises `LakeBroken` where there is none.

    Parts of a chain that are of other blocks contradict each other; of stores of several schemas the newest counts. What was found by
    looking (`contents.OF_BLOCKS`) is that of the part that is taken.
    """
    if len(parts) == 1:
        return parts[0]
    (chain_id,) = parts[0].cut
    if len({part.cut[chain_id] for part in parts}) > 1:
        raise LakeBroken(f"{_names(parts)} of {chain_id}: are of different blocks; remove the one of the wrong branch")
    newest = max(part.made_by for part in parts)
    tables = sorted({fact.view for fact in facts_of(chain_id)})
    ordered = sorted((part for part in parts if part.made_by == newest), key=lambda part: _order(part, tables))
    best = ordered[0]
    for other in ordered[1:]:
        for table in tables:
            if _beyond(lake, other.tables.get(table, ()), best.tables.get(table, ())):
                raise LakeBroken(
                    f"{_names([best, other])} of {chain_id}: say different things of the same blocks in {table}; "
                    "find out which is wrong and remove it"
                )
    return best


def _order(part: LakeSet, tables: Sequence[str]) -> tuple[int, int, str]:
    """Sort the part with the most facts first, then that with the most of all else."""
    facts = sum(file.rows for table in tables for file in part.tables.get(table, ()))
    return -facts, -sum(file.rows for file in part.files), part.id


def _beyond(lake: Lake, some: Sequence[LakeFile], others: Sequence[LakeFile]) -> bool:
    """Whether some files hold a row, or one more often, that others do not; what both name is not read."""
    shared = {file.sha256 for file in some} & {file.sha256 for file in others}
    left, right = ([file for file in files if file.sha256 not in shared and file.rows] for files in (some, others))
    if not left or not right:
        return bool(left)
    with duckdb.connect() as con:
        for name, files in (("some", left), ("others", right)):
            con.register(name, pa.concat_tables([lake.rows(file) for file in files]))
        return bool(con.execute("FROM some EXCEPT ALL FROM others LIMIT 1").fetchall())


def _names(parts: Sequence[LakeSet]) -> str:
    return " and ".join(sorted(part.id for part in parts))
