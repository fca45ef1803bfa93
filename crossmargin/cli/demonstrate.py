"""`demo`: the story of a crash on recorded chains of two kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregator.margin.numbers import total
from chains.identifiers import SOLANA, namespace_of
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.health_view import show_health
from crossmargin.cli.output import add_rows, table, words, write_json
from crossmargin.cli.progress import progress_on
from crossmargin.cli.tasks import run
from crossmargin.demo.parity import Kind
from crossmargin.demo.recorded import shipped
from crossmargin.demo.stage import followed, staged
from crossmargin.demo.story import tell_story
from crossmargin.documents import Document, symbol
from crossmargin.errors import DeskError, Unverified, UsageError
from crossmargin.logs import logger
from crossmargin.server.site import check_host
from crossmargin.settings import ServerSettings
from crossmargin.settings.running import SERVER
from indexer.loop import RECORDS

BOTTOM, AFTER = 2, 3
"""The stations before and after the margin call is answered."""

STATION_WIDTH = 12
WIDE = 110
"""Columns of a terminal that shows whole addresses."""

GLOSS = "JSOL is staked SOL, FEE a token that withholds 1% of every transfer."
COMPARED: Mapping[str, str] = {
    Kind.ACCOUNT_DATA: "answers of Aave's getUserAccountData are equal, all six integers",
    Kind.TOKEN_BALANCE: "balances of the vault's token accounts are equal",
    Kind.NET_DEPOSIT: "net deposits, by depositor and token, are equal",
}
Row = tuple[str, Callable[[Document], object]]
"""What a row says, and what it says of one station."""


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
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--keep {keep}: no such folder can be made: {error.strerror or error}") from error
    if any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty; name a new folder")
    yield keep


async def _perform(context: Context, teller: Teller, folder: Path, server: ServerSettings, *, serve: bool) -> None:
    found = shipped()
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
        elif self._out is not None and part in SHOWN:
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
    """What the crash did to everybody, and to one account with members on every chain."""
    stations = result["stations"]
    _title(console, "What the crash did")
    console.print(_by_station(stations, [*_market(stations[0]), *_accounts()]))
    console.print(words(GLOSS, "dim"))
    _title(console, f"One account on EVM chains and on Solana: {symbol(result['account'])}")
    console.print(_by_station(stations, ACCOUNT))
    console.print()
    for line in _margin_call(stations, result["margin_call"]):
        console.print(words(line))
    console.print()
    show_health(console, stations[-1]["health"])


def _by_station(stations: Sequence[Document], rows: Iterable[Row]) -> Table:
    """A table in which time goes from left to right."""
    columns = [fill(station["station"], STATION_WIDTH) for station in stations]
    cells = ([label, *map(figure, stations)] for label, figure in rows)
    return add_rows(table("", *columns, right=columns), cells)


def _market(first: Document) -> Iterator[Row]:
    yield "price in USD", _nothing
    for name in sorted(first["prices"]):
        yield f"  {symbol(name)}", partial(_price, name)


def _price(name: str, station: Document) -> str:
    return figures.price(station["prices"][name])


def _accounts() -> Iterator[Row]:
    yield "accounts", _nothing
    for name in ("healthy", "watch", "danger", "liquidatable"):
        yield f"  {name}", partial(_count, name)
    yield "liquidations", lambda station: station["liquidations"]


def _count(name: str, station: Document) -> int:
    return int(station["statuses"].get(name, 0))


def _nothing(_: Document) -> str:
    return ""


def _on_solana(health: Document) -> str:
    """What the account's members on Solana hold, at the house's marks."""
    values = (
        position["value_usd"] or "0"
        for venue in health["venues"]
        if namespace_of(venue["chain"]) == SOLANA
        for unit in venue["units"]
        for position in unit["positions"]
    )
    return str(total(values))


ACCOUNT: Sequence[Row] = (
    ("status", lambda station: figures.status(station["health"]["status"])),
    ("health factor", lambda station: figures.factor(station["health"]["health_factor"])),
    ("  without Solana", lambda station: figures.factor(station["without_solana"]["health_factor"])),
    ("weakest unit", lambda station: figures.factor(station["health"]["min_unit_health_factor"])),
    ("score", lambda station: station["health"]["score"]),
    ("collateral USD", lambda station: figures.usd_down(station["health"]["collateral"]["raw"])),
    ("  on Solana", lambda station: figures.usd_down(_on_solana(station["health"]))),
    ("debt USD", lambda station: figures.usd_up(station["health"]["debt"]["raw"])),
)


def _margin_call(stations: Sequence[Document], call: Document) -> Iterator[str]:
    """What the account did when its health fell, and whom that helped."""
    fallen, answered = (stations[place]["health"] for place in (BOTTOM, AFTER))
    units = [(unit, venue["venue"]) for venue in answered["venues"] for unit in venue["units"] if unit["health_factor"]]
    brought = Decimal(call["amount"]).normalize()
    _, weakest = min(units, key=lambda item: Decimal(item[0]["health_factor"]))
    yield (
        f"After the fall {symbol(call['account'])} brings {brought:,f} {symbol(call['symbol'])} to {call['venue']}"
        f" (slot {call['block']:,})."
    )
    yield (
        f"The house sees one account: its health factor rises from {figures.factor(fallen['health_factor'])}"
        f" to {figures.factor(answered['health_factor'])}."
    )
    yield (
        f"Each venue sees only itself: the weakest unit, at {weakest},"
        f" stays at {figures.factor(answered['min_unit_health_factor'])}."
    )


def show_chains(console: Console, chains: Sequence[Document]) -> None:
    _title(console, "Indexed")
    columns = ("name", "chain", "blocks", "logs or\ntransactions", "position\nchanges", "price\nobservations")
    rows = [
        (
            chain["name"],
            figures.chain(chain["chain"]),
            *(f"{count:,}" for count in (chain["blocks"], _happened(chain["rows"]))),
            *(f"{chain['rows'][name]:,}" for name in ("position_change", "price_observation")),
        )
        for chain in chains
    ]
    console.print(add_rows(table(*columns, right=columns[2:]), rows))


def _happened(rows: Mapping[str, int]) -> int:
    return sum(rows.get(name, 0) for name in RECORDS)


def show_weakest(console: Console, weakest: Sequence[Document]) -> None:
    _title(console, "The ten weakest accounts")
    columns = ("account", "status", "health\nfactor", "weakest\nunit", "collateral\nUSD", "debt\nUSD")
    rows = [
        (
            account["account"] if console.width >= WIDE else _short_account(account["account"]),
            figures.status(account["status"]),
            figures.factor(account["health_factor"]),
            figures.factor(account["min_unit_health_factor"]),
            figures.usd_down(account["collateral_usd"]),
            figures.usd_up(account["debt_usd"]),
        )
        for account in weakest
    ]
    console.print(add_rows(table(*columns, right=columns[2:]), rows))


def _short_account(account: str) -> str:
    """A CAIP-10 account with a short address, a configured one by its name."""
    chain_id, _, address = account.rpartition(":")
    return f"{chain_id}:{figures.short(address)}" if chain_id else account


def show_parity(console: Console, parity: Document) -> None:
    _title(console, "Beside what the chains themselves said")
    for kind, counts in parity["kinds"].items():
        equal, compared = counts["equal"], counts["compared"]
        style = "green" if equal == compared else "bold red"
        console.print(words(f"{equal:,} of {compared:,} {COMPARED[kind]}", style))


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


def _statuses(station: Document) -> str:
    counts = station["statuses"]
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in figures.STATUS_STYLES if name in counts)


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold underline"))
