"""The reference of docs/sql.md, made of the schema: `python -m crossmargin.sql.reference [docs/sql.md]` brings it up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossmargin.documents import Document
from crossmargin.sql.schema import ASKED, MACROS, schema_document
from indexer.store import MEMORY, Store

BEGIN = "<!-- made by python -m crossmargin.sql.reference; do not edit below -->"
MOST = 100_000


def schema() -> Document:
    """The schema of a store without a row."""
    with Store.open(MEMORY) as store:
        return schema_document(*(store.query(text, timeout_s=60, max_rows=MOST).rows for text in (ASKED, MACROS)))


def reference(document: Document) -> str:
    """Write every view as a heading, its comment and a table."""
    parts = ["\n".join(_view(view)) for view in document["views"]]
    parts += [f"### {each['name']}\n\n{each['comment']}" for each in document["functions"]]
    return "\n\n".join(parts) + "\n"


def _view(view: dict[str, Any]) -> Iterator[str]:
    yield f"### {view['name']}\n\n{view['comment']}"
    if view["unique"]:
        yield "\nUnique: " + "; ".join(", ".join(f"`{name}`" for name in columns) for columns in view["unique"]) + "."
    yield "\n| column | type | |\n|---|---|---|"
    targets = {each["column"]: f"{each['view']}.{each['key']}" for each in view["references"]}
    for column in view["columns"]:
        said = _cell(column["comment"])
        refers = f"; one of `{targets[column['name']]}`" if column["name"] in targets else ""
        never = "" if column["nullable"] else "; never NULL"
        yield f"| `{column['name']}` | {column['type']} | {said}{refers}{never} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def renewed(text: str) -> str:
    """A document with its reference brought up to date."""
    before, mark, _ = text.partition(BEGIN)
    if not mark:
        raise ValueError(f'the document has no line "{BEGIN}"')
    return f"{before}{BEGIN}\n\n{reference(schema())}"


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/sql.md")
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
