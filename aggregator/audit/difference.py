"""What became otherwise between two snapshots, row by row, and what that comes of as far as their manifests tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from aggregator.audit.pack import Pack
from aggregator.audit.verifier import Json

BEFORE, AFTER = "before", "after"
MOST_ROWS = 100
"""How many rows of a table are shown where nobody asks for more."""

COMPARED = ("accounts", "units", "positions", "liabilities", "marks", "totals", "holdings", "looks")
ALIKE: Mapping[str, tuple[str, ...]] = {"positions": ("venue_id", "unit_id", "market", "side", "asset")}
"""What says which row is which, where that is not the key: amounts are in the order of positions, and change."""

AGES: Mapping[str, frozenset[str]] = {"units": frozenset({"observed_slot", "skew_slots"})}
"""Columns that are others at every cut; `looks` has them once for each venue."""


class Rows(Protocol):
    """The tables of both snapshots as `before.<table>` and `after.<table>`."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        ...


def difference(first: Pack, second: Pack, tables: Rows, *, most: int = MOST_ROWS) -> Json:
    """Return all that differs; of each table `most` rows, and how many more there are. `causes` are those that the manifests tell."""
    before, after = first.manifest, second.manifest
    changed = {name: _table(tables, name, first, second, most) for name in COMPARED}
    return {
        "from": _named(first),
        "to": _named(second),
        "causes": list(causes(before, after)),
        "cut": [line for chain in sorted({*before["cut"], *after["cut"]}) if (line := _cut(chain, before, after))],
        "sums": _sums(before["tree"]["sums"], after["tree"]["sums"]),
        "exceptions": _exceptions(before, after),
        "policy": None if before["policy"] == after["policy"] else {"from": before["policy"], "to": after["policy"]},
        "tables": changed,
        "same": before["tree"] == after["tree"] and not any(each["differing"] for each in changed.values()),
    }


def causes(before: Json, after: Json) -> Iterator[Json]:
    """Name why rows may differ: a chain went on, or left blocks; another method, policy, configuration or membership."""
    for chain in sorted({*before["cut"], *after["cut"]}):
        yield from _of_chain(chain, before["cut"].get(chain), after["cut"].get(chain))
    if before["methodology_version"] != after["methodology_version"]:
        yield cause("new_method", None, f"{before['methodology_version']} → {after['methodology_version']}")
    if before["policy"] != after["policy"]:
        names = [said.get("version") or said.get("digest") for said in (before["policy"], after["policy"])]
        yield cause("new_policy", None, f"{names[0]} → {names[1]}")
    elif before["config_digest"] != after["config_digest"]:
        yield cause("new_configuration", None, "venues, feeds, assets or accounts are configured otherwise")
    if before["membership"] != after["membership"]:
        accounts = [
            account
            for account in sorted({*before["membership"], *after["membership"]})
            if before["membership"].get(account) != after["membership"].get(account)
        ]
        yield cause("membership", None, f"other wallets belong to {', '.join(accounts)}")


def cause(code: str, subject: str | None, detail: str) -> Json:
    """Return a cause as it is written."""
    return {"code": code, "subject": subject, "detail": detail}


def _of_chain(chain: str, before: Json | None, after: Json | None) -> Iterator[Json]:
    if before is None or after is None:
        yield cause("chain_added" if before is None else "chain_removed", chain, "only one of both is of this chain")
    elif before["block"] == after["block"] and before["hash"] != after["hash"]:
        yield cause("reorg", chain, f"block {before['block']} was {before['hash']} and is {after['hash']}")
    elif before["block"] != after["block"]:
        yield cause("other_block", chain, f"block {before['block']} → {after['block']}")


def _named(pack: Pack) -> Json:
    said = pack.manifest
    return {
        "snapshot": pack.name,
        "slot_time": said["slot_time"],
        "manifest_hash": pack.hash,
        "sequence": said["sequence"],
        "methodology_version": said["methodology_version"],
    }


def _cut(chain: str, before: Json, after: Json) -> Json | None:
    was, now = before["cut"].get(chain), after["cut"].get(chain)
    return None if was == now else {"chain": chain, "from": was, "to": now}


def _sums(before: Json, after: Json) -> list[Json]:
    """Compare what all units hold and owe, in raw units of each asset."""
    lines = []
    for key in sorted({*before, *after}):
        was, now = int(before.get(key, 0)), int(after.get(key, 0))
        if was != now:
            asset, _, side = key.partition("|")
            lines.append(
                {"of": asset, "side": side or None, "from": str(was), "to": str(now), "change": str(now - was)}
            )
    return lines


def _exceptions(before: Json, after: Json) -> Json:
    """Say which doubts about chains and venues came and went."""
    was, now = ({json.dumps(each, sort_keys=True) for each in _doubts(said)} for said in (before, after))
    return {
        "added": [json.loads(each) for each in sorted(now - was)],
        "removed": [json.loads(each) for each in sorted(was - now)],
    }


def _doubts(manifest: Json) -> list[Json]:
    return [*manifest["stale_chains"], *manifest["gaps"]]


def _table(tables: Rows, name: str, first: Pack, second: Pack, most: int) -> Json:
    """Compare the rows of a table: how many came, went and changed, and some of them."""
    if name not in first.tables or name not in second.tables:
        return {"added": 0, "removed": 0, "changed": 0, "differing": 0, "rows": [], "left_out": 0, "comparable": False}
    key = ALIKE.get(name, tuple(first.tables[name]["key"]))
    shared = [column for column in first.tables[name]["columns"] if column in second.tables[name]["columns"]]
    columns = [column for column in shared if column not in key and column not in AGES.get(name, ())]
    query = _joined(name, key, columns)
    counts = dict(tables.rows(f"SELECT what, count(*) FROM ({query}) GROUP BY what"))  # noqa: S608 - our own columns
    order = ", ".join(map(_quoted, key))
    found = tables.rows(f"SELECT * FROM ({query}) ORDER BY {order} LIMIT {most:d}")  # noqa: S608 - ditto
    differing = sum(counts.values())
    return {
        **{what: counts.get(what, 0) for what in ("added", "removed", "changed")},
        "differing": differing,
        "rows": [_row(row, key, columns) for row in found],
        "left_out": differing - len(found),
        "comparable": True,
    }


def _joined(name: str, key: Sequence[str], columns: Sequence[str]) -> str:
    """Write the query for all rows that are not the same in both: `what`, the key, and each column before and after."""
    sides = {side: _side(side, name, key, columns) for side in (BEFORE, AFTER)}
    same = " AND ".join(f"b.{_quoted(column)} IS NOT DISTINCT FROM a.{_quoted(column)}" for column in key)
    keys = ", ".join(f"COALESCE(b.{_quoted(column)}, a.{_quoted(column)}) AS {_quoted(column)}" for column in key)
    pairs = ", ".join(f'b.{_quoted(c)} AS "before {c}", a.{_quoted(c)} AS "after {c}"' for c in columns)
    differs = " OR ".join(f"b.{_quoted(column)} IS DISTINCT FROM a.{_quoted(column)}" for column in columns)
    return (
        "SELECT CASE WHEN b.\"there\" IS NULL THEN 'added' WHEN a.\"there\" IS NULL THEN 'removed' ELSE 'changed' END AS what, "  # noqa: S608 - ditto
        f"{keys}, {pairs} FROM ({sides[BEFORE]}) AS b FULL JOIN ({sides[AFTER]}) AS a ON {same} "
        f'WHERE b."there" IS NULL OR a."there" IS NULL OR {differs}'
    )


def _side(side: str, name: str, key: Sequence[str], columns: Sequence[str]) -> str:
    """Write one side; rows that are alike by the key are one, with all that they say, in order."""
    keys = ", ".join(map(_quoted, key))
    said = ", ".join(
        f"string_agg(CAST({_quoted(c)} AS VARCHAR), ' + ' ORDER BY CAST({_quoted(c)} AS VARCHAR)) AS {_quoted(c)}"
        for c in columns
    )
    return f'SELECT {keys}, {said}, 1 AS "there" FROM {side}.{name} GROUP BY {keys}'  # noqa: S608 - our own names


def _row(row: Sequence[Any], key: Sequence[str], columns: Sequence[str]) -> Json:
    what, *values = row
    names, pairs = values[: len(key)], values[len(key) :]
    told = {
        column: [pairs[2 * n], pairs[2 * n + 1]]
        for n, column in enumerate(columns)
        if pairs[2 * n] != pairs[2 * n + 1] or what != "changed"
    }
    return {"what": what, "key": dict(zip(key, names, strict=True)), "columns": told}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
