"""What the public views are, for people and programs: names, types, comments, and the rules that their rows keep.

Comments come from the database, where migrations put them; rules from `rules.toml`. The reference in docs/sql.md, `GET /v1/schema` and the
tests of the rules are made of both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from crossmargin.documents import Document

ASKED = """
SELECT v.view_name, v.comment, c.column_name, c.data_type, c.comment
FROM duckdb_views() AS v
INNER JOIN duckdb_columns() AS c ON c.schema_name = v.schema_name AND c.table_name = v.view_name
WHERE v.schema_name = 'public' AND NOT v.internal
ORDER BY v.view_name, c.column_index
"""
MACROS = """
SELECT function_name, comment, parameters FROM duckdb_functions()
WHERE schema_name = 'public' AND function_type IN ('table_macro', 'macro') ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds of a view's rows: `unique` sets of columns, columns that are never NULL, and columns whose values another view has.

    `references`: (column, view, its column); a NULL refers to nothing.
    """

    unique: tuple[tuple[str, ...], ...] = ()
    not_null: tuple[str, ...] = ()
    references: tuple[tuple[str, str, str], ...] = ()

    def broken(self, view: str) -> Iterator[tuple[str, str]]:
        """Yield each rule in words, with the query whose rows break it."""
        for columns in self.unique:
            listed = ", ".join(columns)
            text = f"SELECT {listed} FROM public.{view} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608 - our own file
            yield f"{view}: ({listed}) is unique", text
        for column in self.not_null:
            text = f"SELECT * FROM public.{view} WHERE {column} IS NULL"  # noqa: S608 - ditto
            yield f"{view}: {column} is never NULL", text
        for column, other, key in self.references:
            text = f"SELECT {column} FROM public.{view} WHERE {column} NOT IN (SELECT {key} FROM public.{other})"  # noqa: S608 - ditto
            yield f"{view}: {column} is in {other}", text


@cache
def rules() -> Mapping[str, Rules]:
    """The rules of every view that has some."""
    said = tomllib.loads(files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))
    return {view: _rules(each) for view, each in said.items()}


def _rules(said: Mapping[str, Any]) -> Rules:
    references = []
    for column, target in said.get("references", {}).items():
        other, _, key = target.partition(".")
        references.append((column, other, key))
    return Rules(
        unique=tuple(tuple(columns) for columns in said.get("unique", ())),
        not_null=tuple(said.get("not_null", ())),
        references=tuple(references),
    )


def schema_document(columns: Sequence[tuple[Any, ...]], macros: Sequence[tuple[Any, ...]]) -> Document:
    """Return the views of what `ASKED` and `MACROS` gave."""
    views: dict[str, dict[str, Any]] = {}
    for view, comment, column, kind, said in columns:
        rule = rules().get(view, Rules())
        found = views.setdefault(view, {"name": view, "comment": comment, **_shown(rule), "columns": []})
        found["columns"].append(
            {"name": column, "type": kind, "comment": said, "nullable": column not in rule.not_null}
        )
    return {
        "views": list(views.values()),
        "functions": [
            {"name": name, "comment": comment, "parameters": list(parameters)} for name, comment, parameters in macros
        ],
    }


def _shown(rule: Rules) -> dict[str, Any]:
    references = [{"column": column, "view": other, "key": key} for column, other, key in rule.references]
    return {"unique": [list(columns) for columns in rule.unique], "references": references}
