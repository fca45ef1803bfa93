"""`demo`: the story of a crash on two recorded chains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.cli import figures
from crossmargin.cli.asking import accounts_table
from crossmargin.cli.context import Context
from crossmargin.cli.health_view import show_health
from crossmargin.cli.output import add_rows, table, words, write_json
from crossmargin.cli.progress import progress_on
from crossmargin.cli.tasks import run
from crossmargin.demo.recording import load
from crossmargin.demo.stage import followed, staged
from crossmargin.demo.story import tell_story
from crossmargin.documents import Document, symbol
from crossmargin.errors import DeskError, Unverified, UsageError
from crossmargin.logs import logger
from crossmargin.packaged import recordings
from crossmargin.server.site import check_host
from crossmargin.settings import ServerSettings
from crossmargin.settings.sections import SERVER

BEFORE, BOTTOM, AFTER = 0, 2, 3


def demo(context: Context, *, serve: bool, host: str | None, port: int | None, public: bool, keep: Path | None) -> None:
    """Tell the story, then serve it until interrupted; raises `Unverified` if a number is not the contracts' own."""
    server = ServerSettings(host=SERVER.host, port=0, public=False)
    if serve:
        server = ServerSettings(host=host or SERVER.host, port=0 if port is None else port, public=public)
        check_host(server)
        server = server if port is not None else replace(server, port=usual_port(server.host))
    teller = Teller(context)
    with _folder(keep) as folder:
        try:
            run(_perform(context, teller, folder, server, serve=serve))
        except KeyboardInterrupt:
            if not teller.serving:
                raise


def usual_port(host: str) -> int:
    """Return the usual port, or 0 for any free one where it is taken: a demonstration is to be seen."""
    try:
        with socket(AF_INET6 if ":" in host else AF_INET) as probe:
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            probe.bind((host, SERVER.port))
    except OSError:
        return 0
    return SERVER.port


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="crossmargin-demo-") as folder:
            yield Path(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty; name a new folder")
    yield keep


async def _perform(context: Context, teller: Teller, folder: Path, server: ServerSettings, *, serve: bool) -> None:
    found = [load(path) for path in recordings()]
    if not found:
        raise DeskError("the recorded chains are missing from this installation; install it again")
    log = logger(context.redactor, as_json=context.log_json, quiet=not context.verbosity, verbosity=context.verbosity)
    async with staged(folder, found, server) as stage:
        names = {chain.spec.id: chain.spec.name for chain in stage.settings.chains}
        with progress_on(context, names) as listener:
            await stage.index(listener)
        async with followed(stage, log) as url:
            result = await tell_story(stage, teller.tell)
            teller.finish(result)
            if serve:
                teller.invite(url, folder)
                await asyncio.Event().wait()


class Teller:
    """Shows the story part by part: for people on stdout; as one document at the end where JSON was asked for."""

    def __init__(self, context: Context) -> None:
        self.serving = False
        self._context = context
        self._out: Console | None = None if context.json else context.stdout()
        self._stations: list[Document] = []

    def tell(self, part: str, document: Document) -> None:
        """Show one part of the story."""
        if part == "station":
            self._stations.append(document)
            self._note(f"{document['station']}: {_statuses(document)}")
        elif self._out is not None:
            SHOWN[part](self._out, document[part])

    def finish(self, result: dict[str, Any]) -> None:
        """Show the account before and after, or the whole as JSON; raises `Unverified`."""
        if self._out is None:
            write_json(result)
        else:
            show_crash(self._out, result)
        parity, snapshot = result["parity"], result["snapshot"]
        if parity["different"] or snapshot["faults"]:
            raise Unverified(f"not all is as the contracts said: {parity['different']} {snapshot['faults']}")

    def invite(self, url: str, folder: Path) -> None:
        """Say where the result is served, and how to ask it."""
        self.serving = True
        account = self._stations[0]["health"]["account"]
        lines = (
            f"serving on {url} until interrupted (Ctrl-C); in another terminal:",
            f"  crossmargin --config {folder / 'crossmargin.toml'} health {account}",
            f"  curl {url}/v1/accounts/{account}/health",
        )
        console = self._context.stderr() if self._out is None else self._out
        for line in lines:
            console.print(line, soft_wrap=True)

    def _note(self, text: str) -> None:
        if not self._context.quiet:
            self._context.stderr().print(text, soft_wrap=True)


def show_crash(console: Console, result: Document) -> None:
    """What the crash did to everybody, and to one account with debt on both chains."""
    stations = result["stations"]
    _title(console, "What the crash did")
    identities = sorted(stations[0]["prices"])
    columns = ("", *(symbol(name) for name in identities), "healthy", "watch", "danger", "liquidatable", "liquidations")
    rows = [
        (
            station["station"],
            *(figures.price(station["prices"][name]) for name in identities),
            *(station["statuses"].get(name, 0) for name in ("healthy", "watch", "danger", "liquidatable")),
            station["liquidations"],
        )
        for station in stations
    ]
    console.print(add_rows(table(*columns, right=columns[1:]), rows))
    _title(console, f"One account with debt on both chains: {symbol(result['account'])}")
    columns = ("", "status", "health factor", "weakest unit", "score", "collateral USD", "debt USD")
    moments = [(station["station"], *_in_short(station["health"])) for station in stations]
    console.print(add_rows(table(*columns, right=columns[2:]), moments))
    console.print()
    show_health(console, stations[-1]["health"])


def show_chains(console: Console, chains: Sequence[Document]) -> None:
    _title(console, "Indexed")
    columns = ("chain", "name", "blocks", "logs", "position changes", "price observations")
    rows = [
        (
            chain["chain"],
            chain["name"],
            chain["blocks"],
            *(chain["rows"][name] for name in ("evm_log", "position_change", "price_observation")),
        )
        for chain in chains
    ]
    console.print(add_rows(table(*columns, right=columns[2:]), rows))


def show_weakest(console: Console, weakest: Sequence[Document]) -> None:
    _title(console, "The ten weakest accounts")
    console.print(accounts_table({"accounts": weakest}))


def show_parity(console: Console, parity: Document) -> None:
    _title(console, "Beside the contracts' own numbers")
    equal, compared = parity["equal"], parity["compared"]
    style = "green" if equal == compared else "bold red"
    text = f"{equal:,} of {compared:,} answers of getUserAccountData are equal, all six integers to the last unit"
    console.print(words(text, style))


def show_snapshot(console: Console, snapshot: Document) -> None:
    _title(console, "Snapshot")
    console.print(words(f"{snapshot['snapshot']} of every account, manifest {snapshot['manifest_hash']}"))
    console.print(words("verified" if snapshot["verified"] else "differs", "green" if snapshot["verified"] else "red"))


SHOWN: Mapping[str, Callable[[Console, Any], None]] = {
    "chains": show_chains,
    "weakest": show_weakest,
    "parity": show_parity,
    "snapshot": show_snapshot,
}


def _in_short(health: Document) -> tuple[object, ...]:
    return (
        figures.status(health["status"]),
        figures.factor(health["health_factor"]),
        figures.factor(health["min_unit_health_factor"]),
        health["score"],
        figures.usd_down(health["collateral"]["raw"]),
        figures.usd_up(health["debt"]["raw"]),
    )


def _statuses(station: Document) -> str:
    counts = station["statuses"]
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in figures.STATUS_STYLES if name in counts)


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold underline"))
