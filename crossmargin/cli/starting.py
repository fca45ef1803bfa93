"""`init`: a first configuration."""

from __future__ import annotations

from pathlib import Path

from crossmargin import deployments
from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, facts
from crossmargin.errors import UsageError


def init(context: Context, *, chains: tuple[str, ...], protocols: tuple[str, ...], output: Path) -> None:
    """Write a configuration into a file that is not there yet; raises `UsageError`."""
    chosen = deployments.chosen(deployments.known(), chains, protocols)
    _write_new(output, deployments.written(chosen))
    document = {
        "path": str(output),
        "variables": deployments.variables(chosen),
        "chains": [chain["name"] for chain in chosen.chains],
        "venues": [venue["id"] for venue in chosen.venues],
    }
    emit(context, document, lambda console: facts(console, document))


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already; name another file with --output") from error
