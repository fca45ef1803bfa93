"""`init`: a first configuration, out of options or of answers on a terminal."""

from __future__ import annotations

import os
import select
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer
from rich.console import Console

from crossmargin import deployments
from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, facts, words
from crossmargin.deployments import Deployments
from crossmargin.documents import Document
from crossmargin.errors import UsageError

T = TypeVar("T")

FILE = "crossmargin.toml"
HEARD_WITHIN_S = 0.2
CANCELLED = "cancelled; nothing was written"
WELCOME = "A configuration in a few answers. Enter takes what stands in brackets; Ctrl-C ends without writing anything."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `init` is told; what is none is left to its default, or asked for.

    `nodes`: `CHAIN=WHERE`; `data`: the folder of the store, from that of the file.
    """

    chains: Sequence[str] = ()
    protocols: Sequence[str] = ()
    nodes: Sequence[str] = ()
    data: str | None = None
    output: Path | None = None


def init(context: Context, answers: Answers) -> None:
    """Write a configuration into a file that is not there yet; raises `UsageError`.

    Without a chain, whoever sits at the terminal is asked for what was not said.
    """
    known = deployments.known()
    if not answers.chains:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("--chain NAME is missing, and there is no terminal to ask on")
        answers = _asked(context, known, answers)
    output = new_file(str(answers.output or FILE))
    chosen = deployments.chosen(known, answers.chains, answers.protocols)
    chosen = deployments.reached(chosen, nodes_of(chosen, answers.nodes))
    data = answers.data or deployments.DATA
    folder_in(output, data)
    _write_new(output, deployments.written(chosen, data))
    document = {
        "path": str(output),
        "variables": deployments.variables(chosen),
        "chains": [chain["name"] for chain in chosen.chains],
        "venues": [venue["id"] for venue in chosen.venues],
    }
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    facts(console, document)
    option = "" if document["path"] == FILE else f"--config {shlex.quote(document['path'])} "
    ways = ", then ".join(f"crossmargin {option}{name}" for name in ("check", "doctor", "index"))
    set_ = f"set {', '.join(document['variables'])}, then run " if document["variables"] else "run "
    console.print(words(f"next: {set_}{ways}"), soft_wrap=True)


def _asked(context: Context, known: Deployments, given: Answers) -> Answers:
    try:
        return Wizard(context, known).ask(given)
    except KeyboardInterrupt as error:
        context.stderr().print()
        raise typer.Abort(CANCELLED) from error


class Wizard:
    """Asks on the terminal, one thing after the other; what cannot be taken is said at once, and asked for again."""

    def __init__(self, context: Context, known: Deployments) -> None:
        self._console = context.stderr()
        self._known = known

    def ask(self, given: Answers) -> Answers:
        """Return all answers, also those that were given as options; raises `KeyboardInterrupt`, also at the end of the input."""
        self._console.print(WELCOME, soft_wrap=True)
        chains = self._answer(f"chains ({', '.join(self._known.names)})", None, self._chains)
        chosen = deployments.chosen(self._known, chains, ())
        protocols = given.protocols or self._protocols(chains, chosen)
        nodes = {name: where for name, _, where in (each.partition("=") for each in given.nodes)}
        for chain in chosen.chains:
            if not {chain["name"], chain["id"]} & nodes.keys():
                question = f"node of {chain['name']}: an environment variable, or an address of this network"
                nodes[chain["name"]] = self._answer(question, deployments.variable(chain), _node)
        output = given.output or self._answer("file to write", FILE, new_file)
        data = given.data or self._answer("folder of the data", deployments.DATA, lambda said: folder_in(output, said))
        said = [f"{name}={where}" for name, where in nodes.items()]
        return Answers(chains=chains, protocols=protocols, nodes=said, data=data, output=output)

    def _protocols(self, chains: Sequence[str], chosen: Deployments) -> Sequence[str]:
        def known(said: str) -> Sequence[str]:
            wanted = [] if said == "all" else _listed(said)
            deployments.chosen(self._known, chains, wanted)
            return wanted

        return self._answer(f"protocols ({', '.join(chosen.protocols)})", "all", known)

    def _chains(self, said: str) -> Sequence[str]:
        if not (names := _listed(said)):
            raise UsageError("name at least one chain")
        deployments.chosen(self._known, names, ())
        return names

    def _answer(self, question: str, default: str | None, read: Callable[[str], T]) -> T:
        while True:
            self._console.print(words(f"{question}{f' [{default}]' if default else ''}: "), end="", soft_wrap=True)
            if not (line := _line()):
                raise KeyboardInterrupt
            try:
                return read(line.strip() or default or "")
            except UsageError as error:
                self._console.print(words(str(error), "red"), soft_wrap=True)


def _line() -> str:
    """Read a line of the terminal, empty at its end; raises `KeyboardInterrupt`."""
    # A Ctrl-C that comes as a read begins, before it waits, is heard when the read ends: no read begins before there is a line.
    while not select.select([sys.stdin], [], [], HEARD_WITHIN_S)[0]:
        pass
    return sys.stdin.readline()


def nodes_of(chosen: Deployments, said: Iterable[str]) -> Mapping[str, str]:
    """Return where the nodes of chains are, by chain id, out of `CHAIN=WHERE`; raises `UsageError`, which repeats no address."""
    parts = [each.partition("=") for each in said]
    if any(not between or "/" in name for name, between, _ in parts):
        raise UsageError("--node takes a chain and where its node is, CHAIN=WHERE: base=BASE_RPC_URL")
    named = {name: where for name, _, where in parts}
    return {deployments.chain_named(chosen, name)["id"]: deployments.node(where) for name, where in named.items()}


def new_file(said: str) -> Path:
    """Return a file that can be made; raises `UsageError`."""
    path = Path(said)
    if path.exists():
        raise UsageError(_there(path))
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.absolute().parent}")
    return path


def folder_in(output: Path, said: str) -> str:
    """Return a folder, as said, that is there and writable or can be made, from the folder of `output`; raises `UsageError`."""
    if "$" in said or not said.isprintable():
        raise UsageError("the folder of the data is to be a plain path")
    place = output.absolute().parent / said
    there = next(each for each in (place, *place.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"{there} is no folder that can be written to; name another with --data")
    return said


def _node(said: str) -> str:
    deployments.node(said)
    return said


def _listed(said: str) -> list[str]:
    return [name for part in said.split(",") for name in part.split()]


def _there(path: Path) -> str:
    return f"{path} is there already; name another file with --output"


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(_there(path)) from error
