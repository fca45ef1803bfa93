"""What docs/sql.md says of the views is what the store's own comments and the rules say."""

from __future__ import annotations

from pathlib import Path

from crossmargin.sql.reference import renewed


def test_the_reference_is_up_to_date(checkout: Path) -> None:
    text = (checkout / "docs" / "sql.md").read_text(encoding="utf-8")

    assert renewed(text) == text, "run: .venv/bin/python -m crossmargin.sql.reference"
