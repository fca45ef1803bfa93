"""The SQL of the store: one statement a file, under `sql/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str, **names: str) -> str:
    """Return the text of `sql/{name}.sql` with table and column names filled in; values are always bound, never filled in."""
    text = files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return text.format(**names) if names else text
