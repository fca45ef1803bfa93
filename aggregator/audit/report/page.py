"""The parts of a page: everything that comes from outside is text, no script runs, and nothing is fetched."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.resources import files


class Html(str):
    """Markup that was made here; anything else is text, and is escaped."""

    __slots__ = ()


Cell = object

MOST_ROWS = 60
"""How many rows of one table are shown; the others are counted, and are in the tables."""

LONGEST = 20
"""Characters of a name that is not shortened."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, parts: Iterable[Html]) -> str:
    """Return a whole page."""
    body = "\n".join(parts)
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def text(value: Cell) -> Html:
    """Escape anything; what does not show, or turns the direction of what follows, is shown as a mark."""
    shown = "".join("\ufffd" if _hidden(sign) else sign for sign in str(value))
    return Html(html.escape(shown, quote=True))


def _hidden(sign: str) -> bool:
    return unicodedata.category(sign).startswith("C") or sign in "\u2028\u2029"


def code(value: Cell) -> Html:
    return Html(f"<code>{text(value)}</code>")


def marked(value: Cell, style: str) -> Html:
    """Return text in the style `good`, `warn`, `bad` or `soft`."""
    return Html(f'<span class="{style}">{text(value)}</span>')


def paragraph(*parts: Cell) -> Html:
    return Html(f"<p>{''.join(_cell(part) for part in parts)}</p>")


def section(title: str, *parts: Html) -> Html:
    """Return a section under its heading."""
    inner = "\n".join(parts)
    return Html(f"<section>\n<h2>{text(title)}</h2>\n{inner}\n</section>")


def figures(items: Iterable[tuple[str, Cell]]) -> Html:
    """Return numbers in boxes."""
    boxes = "".join(f"<div><dt>{text(name)}</dt><dd>{_cell(value)}</dd></div>" for name, value in items)
    return Html(f'<dl class="figures">{boxes}</dl>')


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, numbers: Sequence[str] = (), note: str = ""
) -> Html:
    """Return a table; `numbers`: the columns that stand to the right; `note` stands below. None is shown as a dash."""
    head = "".join(f"<th{_side(name, numbers)}>{text(name)}</th>" for name in columns)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{_side(name, numbers)}>{_cell(value)}</td>" for name, value in zip(columns, row, strict=True))
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{text(note)}</caption>" if note else ""
    return Html(
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def bars(title: str, items: Sequence[tuple[str, int, str]]) -> Html:
    """Return horizontal bars with their numbers: name, number, style."""
    most = max((number for _, number, _ in items), default=0) or 1
    height = 24 * len(items) + 6
    parts = []
    for place, (name, number, style) in enumerate(items):
        y = 24 * place
        width = number * 480 // most if number == 0 else max(1, number * 480 // most)
        parts.append(
            f'<text x="0" y="{y + 16}">{text(name)}</text>'
            f'<rect class="{style}" x="150" y="{y + 4}" width="{width}" height="16"></rect>'
            f'<text class="soft" x="{158 + width}" y="{y + 16}">{number:,}</text>'
        )
    inner = "".join(parts)
    return Html(
        f'<svg viewBox="0 0 720 {height}" role="img" aria-label="{text(title)}"><title>{text(title)}</title>{inner}</svg>'
    )


def rest(rows: Sequence[object], name: str) -> str:
    return f"and {len(rows) - MOST_ROWS:,} more in {name}.ndjson" if len(rows) > MOST_ROWS else ""


def short(name: Cell) -> Cell:
    """Shorten an address in the middle; the tables have it whole."""
    return f"{name[:10]}…{name[-6:]}" if isinstance(name, str) and len(name) > LONGEST else name


def _side(name: str, numbers: Sequence[str]) -> str:
    return ' class="number"' if name in numbers else ""


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, Html) else text(value)
