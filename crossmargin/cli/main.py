"""The commands: what each takes and says in `--help`. What it does is loaded when it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.context import Context, hoisted
from crossmargin.cli.failures import guarded

CODES = (
    "Exit codes: 0 ok · 1 could not be done (node, store) · 2 usage or configuration · 3 stale or unknown · "
    "4 verification failed · 5 below the threshold."
)

app = typer.Typer(
    name="crossmargin",
    help="Cross-chain margin accounts: index lending protocols, value them, serve account health.",
    epilog=f"--config, --json, -q, -v and --log-json may stand before or after the command. {CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
account_app = typer.Typer(no_args_is_help=True, help="The configured margin accounts.")
snapshot_app = typer.Typer(no_args_is_help=True, help="Snapshots of every account at one cut-off.")
liabilities_app = typer.Typer(
    no_args_is_help=True, help="What other systems require of the collateral that escrows hold for them."
)
haircuts_app = typer.Typer(no_args_is_help=True, help="Market haircuts from price histories, and whether they hold.")
app.add_typer(account_app, name="account")
app.add_typer(snapshot_app, name="snapshot")
app.add_typer(liabilities_app, name="liabilities")
app.add_typer(haircuts_app, name="haircuts")


class SqlFormat(StrEnum):
    """How `sql` prints its rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class ProofLevel(StrEnum):
    """What `prove-coverage` looks for."""

    RECEIPTS = "receipts"
    SECOND_NODE = "second-node"
    TOTALS = "totals"
    BLOOM = "bloom"


Ctx = typer.Context
AccountId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A margin account, a CAIP-10 account (eip155:1:0x…), or a bare address (0x…, base58): that key on every chain.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="WHEN",
        help="A block (20100000), a block per chain (eip155:1=20100000,eip155:10=1200), "
        "or a time (2026-01-31T00:00:00Z or Unix seconds).",
    ),
]
Histories = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="CSV or Parquet with the columns date and close, one asset each, every day once."
    ),
]
PriceColumn = Annotated[str, typer.Option("--price", metavar="COLUMN", help="The column of prices in USD.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="A file, or - for stdin.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to serve on; loopback unless --public.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="Port to serve on; 0 takes any free one.")]
Public = Annotated[
    bool, typer.Option("--public", help="Allow a host that other machines reach; there are no API keys yet.")
]


def _version(context: Ctx, *, asked: bool) -> None:
    if asked:
        from crossmargin.cli import about

        about.version(context.obj)
        raise typer.Exit


@app.callback()
def options(
    context: Ctx,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Configuration; else $CROSSMARGIN_CONFIG, else ./crossmargin.toml.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="More on stderr; twice for all.")] = 0,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON lines, also on a terminal.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    del version
    given: Context = context.obj
    given.config, given.json, given.quiet, given.verbosity, given.log_json = config, as_json, quiet, verbose, log_json


@app.command()
def demo(
    context: Ctx,
    *,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the demonstration.")] = False,
    host: Host = None,
    port: Port = None,
    public: Public = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the store and the snapshot in this folder."),
    ] = None,
) -> None:
    """Index three recorded chains, show what a price crash does to accounts, serve them. Needs no network."""
    from crossmargin.cli import demonstrate

    demonstrate.demo(context.obj, serve=not no_serve, host=host, port=port, public=public, keep=keep)


@app.command()
def init(
    context: Ctx,
    *,
    chain: Annotated[
        list[str], typer.Option("--chain", metavar="NAME", help="A chain (base, eip155:8453); may be given again.")
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME", help="Only this protocol (aave-v3); may be given again."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="The file to write; it must not be there.")
    ] = Path("crossmargin.toml"),
) -> None:
    """Write a configuration for known deployments on some chains. Asks no network."""
    from crossmargin.cli import starting

    starting.init(context.obj, chains=tuple(chain), protocols=tuple(protocol or ()), output=output)


@app.command()
def check(context: Ctx) -> None:
    """Read the configuration and print it as understood, without secrets."""
    from crossmargin.cli import about

    about.check(context.obj)


@app.command()
def doctor(
    context: Ctx,
    *,
    chain: Annotated[
        list[str] | None, typer.Option("--chain", metavar="ID", help="Only this chain; may be given again.")
    ] = None,
) -> None:
    """Measure what each configured node can do. Exits 3 when one cannot be believed, 1 when a chain has none that can be used."""
    from crossmargin.cli import doctor as measuring

    measuring.doctor(context.obj, chains=tuple(chain or ()))


@app.command()
def index(
    context: Ctx,
    *,
    until: Annotated[
        str, typer.Option("--until", metavar="latest|finalized|N", help="Where to end: a word or a block.")
    ] = "latest",
    chain: Annotated[
        list[str] | None, typer.Option("--chain", metavar="ID", help="Only this chain; may be given again.")
    ] = None,
) -> None:
    """Fetch the configured chains into the store up to a block, then end. Starts where it stopped."""
    from crossmargin.cli import indexing

    indexing.index(context.obj, until=until, chains=tuple(chain or ()))


@app.command()
def run(
    context: Ctx,
    *,
    host: Host = None,
    port: Port = None,
    public: Public = False,
    one_process: Annotated[
        bool,
        typer.Option("--one-process", help="Read chains in this process too: less memory, slow answers meanwhile."),
    ] = False,
) -> None:
    """Follow every chain, make the scheduled snapshots and serve HTTP, until interrupted."""
    from crossmargin.cli import serving

    serving.run(context.obj, host=host, port=port, public=public, one_process=one_process)


@app.command()
def serve(context: Ctx, *, host: Host = None, port: Port = None, public: Public = False) -> None:
    """Serve what the store holds over HTTP, without indexing, until interrupted."""
    from crossmargin.cli import serving

    serving.serve(context.obj, host=host, port=port, public=public)


@app.command()
def status(context: Ctx) -> None:
    """Show how far each chain is indexed. Exits 3 when one is stale."""
    from crossmargin.cli import asking

    asking.status(context.obj)


@app.command()
def health(
    context: Ctx,
    account: AccountId,
    *,
    at: At = None,
    fail_below: Annotated[
        float | None,
        typer.Option(
            "--fail-below",
            metavar="X",
            min=0,
            help="Exit 5 when the lowest of the account's and its units' health factors is below X.",
        ),
    ] = None,
) -> None:
    """Show an account's health, the venues' own numbers and the prices behind them. Exits 3 when unknown."""
    from crossmargin.cli import asking

    asking.health(context.obj, account, at=at, fail_below=fail_below)


@app.command()
def positions(context: Ctx, account: AccountId, *, at: At = None) -> None:
    """List an account's supplies and debts, venue by venue."""
    from crossmargin.cli import asking

    asking.positions(context.obj, account, at=at)


@account_app.command("list")
def account_list(context: Ctx) -> None:
    """List the configured margin accounts with their health."""
    from crossmargin.cli import asking

    asking.accounts(context.obj)


@account_app.command("show")
def account_show(context: Ctx, account: AccountId) -> None:
    """Show the members of an account and where each has positions."""
    from crossmargin.cli import asking

    asking.account(context.obj, account)


@app.command()
def prices(context: Ctx, *, at: At = None) -> None:
    """List every asset's price, its age and where it comes from."""
    from crossmargin.cli import asking

    asking.prices(context.obj, at=at)


@app.command()
def sql(
    context: Ctx,
    query: Annotated[
        str | None, typer.Argument(metavar="[QUERY]", help="One SELECT; read from stdin when absent.")
    ] = None,
    *,
    form: Annotated[SqlFormat, typer.Option("--format", help="How to print the rows.")] = SqlFormat.TABLE,
) -> None:
    """Ask the store's public views one SELECT."""
    from crossmargin.cli import asking

    asking.sql(context.obj, query, form="json" if context.obj.json else form.value)


@app.command()
def inputs(context: Ctx, digest: Annotated[str, typer.Argument(metavar="DIGEST")]) -> None:
    """Print the stored inputs of a health document, by its input_digest."""
    from crossmargin.cli import asking

    asking.inputs(context.obj, digest)


@snapshot_app.command("create")
def snapshot_create(context: Ctx, *, at: At = None) -> None:
    """Write a snapshot of every account, at the tip or at a given time."""
    from crossmargin.cli import snapshots

    snapshots.create(context.obj, at=at)


@snapshot_app.command("list")
def snapshot_list(context: Ctx) -> None:
    """List the snapshots with late and missed slots."""
    from crossmargin.cli import snapshots

    snapshots.listing(context.obj)


@snapshot_app.command("verify")
def snapshot_verify(
    context: Ctx, folder: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="Its folder or its name.")]
) -> None:
    """Check a snapshot's files against its manifest. Exits 4 when they differ."""
    from crossmargin.cli import snapshots

    snapshots.verify(context.obj, folder)


@liabilities_app.command("import")
def liabilities_import(context: Ctx, source: Source) -> None:
    """Take in a signed document of liabilities. Exits 4 when nobody who may say this has signed it."""
    from crossmargin.cli import liabilities

    liabilities.take_in(context.obj, source)


@liabilities_app.command("list")
def liabilities_list(
    context: Ctx,
    *,
    venue: Annotated[str | None, typer.Option("--venue", metavar="ID", help="Only of this venue.")] = None,
) -> None:
    """List the newest that is known of each account, and its age."""
    from crossmargin.cli import liabilities

    liabilities.listing(context.obj, venue=venue)


@liabilities_app.command("sign")
def liabilities_sign(
    context: Ctx,
    source: Source,
    *,
    key: Annotated[Path, typer.Option("--key", metavar="KEYFILE", help="A private key as `liabilities key` makes it.")],
) -> None:
    """Sign a document of liabilities and print it in its envelope."""
    from crossmargin.cli import liabilities

    liabilities.sign(context.obj, source, key=key)


@liabilities_app.command("key")
def liabilities_key(
    context: Ctx, path: Annotated[Path, typer.Argument(metavar="OUT", help="The file to make; it must not be there.")]
) -> None:
    """Make a private key that signs liabilities, and print the public key for the configuration."""
    from crossmargin.cli import liabilities

    liabilities.make_key(context.obj, path)


@haircuts_app.command("estimate")
def haircuts_estimate(
    context: Ctx,
    files: Histories,
    *,
    horizon: Annotated[
        str,
        typer.Option("--horizon", metavar="TIME", help="How long a liquidation takes, with the time to notice: 4h."),
    ] = "4h",
    price: PriceColumn = "close",
) -> None:
    """Estimate how far each price may fall before a liquidation is done: maintenance at 99 %, initial at 99.7 %."""
    from crossmargin.cli import haircuts

    haircuts.estimate(context.obj, files, horizon=horizon, price=price)


@haircuts_app.command("backtest")
def haircuts_backtest(
    context: Ctx,
    files: Histories,
    *,
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Only this model; may be given again.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Judge only the days from here on: 2024-01-01.")
    ] = None,
    require: Annotated[
        str | None,
        typer.Option("--require", metavar="NAME", help="Exit 4 when this model's haircuts are gone beyond too often."),
    ] = None,
    price: PriceColumn = "close",
) -> None:
    """Walk haircut models forward over price histories and count the days that went beyond them."""
    from crossmargin.cli import haircuts

    haircuts.walk_forward(context.obj, files, models=tuple(model or ()), since=since, require=require, price=price)


@app.command("prove-coverage")
def prove_coverage(
    context: Ctx,
    *,
    chain: Annotated[
        list[str] | None, typer.Option("--chain", metavar="ID", help="Only this chain; may be given again.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option("--venue", metavar="ID", help="Only what this venue took in, on its chain.")
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", metavar="N", min=0, help="First block; the chain's or the venue's first.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", metavar="N", min=0, help="Last block; the last final one.")
    ] = None,
    level: Annotated[ProofLevel, typer.Option("--level", help="The evidence to look for.")] = ProofLevel.RECEIPTS,
) -> None:
    """Look at stored final blocks again for evidence that no log is missing. Exits 4 where one is."""
    from crossmargin.cli import proving

    wish = proving.Wish(chains=tuple(chain or ()), venue=venue, first=first, last=last, level=level.value)
    proving.prove_coverage(context.obj, wish)


@app.command("audit-parity")
def audit_parity(
    context: Ctx,
    *,
    venue: Annotated[
        str | None, typer.Option("--venue", metavar="ID", help="Only this venue; else each that has views.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="Units of each venue, the next in turn; [audit] sample."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="WHEN", help="A final block, as for `health`; the newest one.")
    ] = None,
) -> None:
    """Compare the next units with the venues' own contracts. Exits 4 on a difference, 3 where nothing could be compared."""
    from crossmargin.cli import auditing

    auditing.audit_parity(context.obj, venue=venue, sample=sample, at=at)


@app.command()
def restate(
    context: Ctx,
    *,
    chain: Annotated[str, typer.Option("--chain", metavar="ID", help="The chain.")],
    venue: Annotated[
        str | None, typer.Option("--venue", metavar="ID", help="Only this venue; else everything of the chain.")
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", metavar="BLOCK", min=0, help="The first block to read again.")
    ] = None,
    cause: Annotated[str | None, typer.Option("--cause", metavar="TEXT", help="Why, for the ledger.")] = None,
    accept_removal: Annotated[
        bool, typer.Option("--accept-removal", help="Let stored logs go that the nodes do not give any more.")
    ] = False,
) -> None:
    """Read stored blocks again from the nodes, and take over what is otherwise now."""
    from crossmargin.cli import restating

    restating.restate(context.obj, chain=chain, venue=venue, first=first, cause=cause, accept_removal=accept_removal)


@app.command()
def rebuild(context: Ctx) -> None:
    """Derive everything again from what the nodes once said, without a network."""
    from crossmargin.cli import indexing

    indexing.rebuild(context.obj)


def main() -> None:
    """Run the command line and exit with its code."""
    guarded(app, hoisted)
