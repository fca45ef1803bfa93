"""The table of commands of docs/cli.md, made of the commands: `python -m crossmargin.cli.reference [docs/cli.md]` brings it up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGIN = "<!-- made by python -m crossmargin.cli.reference; do not edit down to the next mark -->"
END = "<!-- end of what is made -->"
DOCUMENT = "one document"
OTHERWISE: Mapping[tuple[str, ...], str] = {
    ("mcp",): "no: it speaks the protocol on stdout",
    ("completion",): "no: the script is what a shell reads",
    ("demo",): "the address, once it serves; its story is for people",
    ("run",): "the address, once it serves; what happens is logged (`--log-json`)",
    ("serve",): "the address, once it serves; what happens is logged (`--log-json`)",
    ("sql",): "as `--format json`",
    ("inputs",): "the stored document, with it or without",
    ("snapshot", "prove"): "the proof, with it or without",
    ("liabilities", "sign"): "the envelope, with it or without",
}
"""What `--json` does where it does not turn what is printed into one document, and why."""


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its path, in the order of `--help`."""
    from typer.main import get_command

    from crossmargin.cli.main import app

    yield from _below((), get_command(app))


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - typer's own
    inner = getattr(command, "commands", {})
    if path and (not inner or command.invoke_without_command):
        yield path, command
    for name, each in inner.items():
        yield from _below((*path, name), each)


def reference() -> str:
    """Write a row for each command: its name, what it does, what `--json` makes of it."""
    rows = [
        f"| [`{' '.join(path)}`](#{'-'.join(path)}) | {_does(command)} | {OTHERWISE.get(path, DOCUMENT)} |"
        for path, command in leaves()
    ]
    return "\n".join(["| command | what it does | with `--json` |", "|---|---|---|", *rows])


def _does(command: Any) -> str:  # noqa: ANN401 - typer's own
    return str(command.help).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def renewed(text: str) -> str:
    """A document with its table brought up to date; raises `ValueError` where it has no place for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'the document has no lines "{BEGIN}" and "{END}"')
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md")
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
