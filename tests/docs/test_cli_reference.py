"""The table of commands of docs/cli.md is what the commands are; that each prints what it says, tests/e2e/test_json_everywhere.py shows."""

from __future__ import annotations

from pathlib import Path

from crossmargin.cli.reference import OTHERWISE, leaves, renewed


def test_the_table_is_up_to_date(checkout: Path) -> None:
    text = (checkout / "docs" / "cli.md").read_text(encoding="utf-8")

    assert renewed(text) == text, "run: .venv/bin/python -m crossmargin.cli.reference"


def test_what_is_otherwise_is_a_command(checkout: Path) -> None:
    assert OTHERWISE.keys() <= {path for path, _ in leaves()}
