"""The commands: what each takes and says in `--help`. What it does is loaded when it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.completing import Shell
from crossmargin.cli.context import Context, hoisted
from crossmargin.cli.failures import guarded
from crossmargin.cli.liquidation_commands import liquidations_app

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
keys_app = typer.Typer(no_args_is_help=True, help="The keys that sign snapshots, and those by which others ask.")
webhooks_app = typer.Typer(no_args_is_help=True, help="Events that are sent to subscribers.")
api_keys_app = typer.Typer(no_args_is_help=True, help="The keys by which others ask over HTTP.")
liabilities_app = typer.Typer(
    no_args_is_help=True, help="What other systems require of the collateral that escrows hold for them."
)
policy_app = typer.Typer(
    no_args_is_help=True, help="The house's policy: which one is in force, and what another would do."
)
haircuts_app = typer.Typer(no_args_is_help=True, help="Market haircuts from price histories, and whether they hold.")
lake_app = typer.Typer(
    no_args_is_help=True, help="Shared storage: what several indexers publish, and readers read at one cut-off."
)
score_app = typer.Typer(no_args_is_help=True, help="The score, and whether its chances come true.")
app.add_typer(account_app, name="account")
app.add_typer(snapshot_app, name="snapshot")
app.add_typer(keys_app, name="keys")
keys_app.add_typer(api_keys_app, name="api")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(liabilities_app, name="liabilities")
app.add_typer(haircuts_app, name="haircuts")
prices_app = typer.Typer(
    invoke_without_command=True, help="What every asset is worth now, and histories of prices by days."
)
liquidity_app = typer.Typer(no_args_is_help=True, help="What assets can be sold for, as somebody says.")
app.add_typer(prices_app, name="prices")
app.add_typer(liquidity_app, name="liquidity")
transfers_app = typer.Typer(no_args_is_help=True, help="What is on its way between chains, as somebody says.")
app.add_typer(transfers_app, name="transfers")
app.add_typer(score_app, name="score")
app.add_typer(lake_app, name="lake")
app.add_typer(liquidations_app, name="liquidations")
app.add_typer(policy_app, name="policy")


class SqlFormat(StrEnum):
    """How `sql` prints its rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"


class Engine(StrEnum):
    """What `revalue` runs on."""

    DUCKDB = "duckdb"
    DATAFUSION = "datafusion"
    SPARK = "spark"


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
KnownAt = Annotated[
    str | None,
    typer.Option("--known-at", metavar="TIME", help="What was answered then, and why it is otherwise now."),
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
Account = Annotated[str, typer.Argument(metavar="ID", help="A margin account of the configuration.")]
Wallet = Annotated[
    str, typer.Option("--wallet", metavar="WALLET", help="A CAIP-10 account (eip155:1:0x…), or a bare address.")
]
MessageOnly = Annotated[bool, typer.Option("--message-only", help="Print what the wallet is to sign, and end.")]
SignatureFile = Annotated[
    Path | None,
    typer.Option(
        "--signature", metavar="FILE", help='JSON: {"message": the text, "scheme": "eip191", "signature": "0x…"}.'
    ),
]
Histories = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="CSV or Parquet with the columns date and close, one asset each, every day once."
    ),
]
AnyHistories = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE…]", help="CSV or Parquet with the columns date and close, one asset each, every day once."
    ),
]
Stored = Annotated[
    list[str] | None,
    typer.Option("--stored", metavar="IDENTITY", help="What the store has of one; may be given again."),
]
Days = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="CSV or Parquet with the columns date, low, high and close, one asset each."),
]
Severity = Annotated[str, typer.Option("--severity", metavar="day|close|low", help="Which of a window's moves counts.")]
Shocks = Annotated[
    list[str] | None,
    typer.Option("--shock", metavar="NAME=MOVE", help="A scenario of your own: ETH=-0.3; may be given again."),
]
AccrueDays = Annotated[int, typer.Option("--accrue", metavar="DAYS", help="Interest accrues for so many days before.")]
PriceColumn = Annotated[str, typer.Option("--price", metavar="COLUMN", help="The column of prices in USD.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="A file, or - for stdin.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to serve on; loopback unless --public.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="Port to serve on; 0 takes any free one.")]
Public = Annotated[
    bool, typer.Option("--public", help="Allow a host that other machines reach; who asks there needs a key.")
]
Anonymous = Annotated[
    bool, typer.Option("--anonymous", help="With --public: let anybody read who reaches it, without a key.")
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
    accept_policy: Annotated[
        bool, typer.Option("--accept-policy", help="Let the configured policy count from now on, without notice.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    del version
    given: Context = context.obj
    given.config, given.json, given.quiet, given.verbosity, given.log_json = config, as_json, quiet, verbose, log_json
    given.accept_policy = accept_policy


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
        list[str] | None,
        typer.Option("--chain", metavar="NAME", help="A chain (base, eip155:8453); may be given again."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME", help="Only this protocol (aave-v3); may be given again."),
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(
            "--node",
            metavar="CHAIN=WHERE",
            help="The environment variable with its address (base=MY_BASE_URL), or one of this network; may be given again.",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DIR", help="The folder of the store, from that of the file (data).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="The file to write (crossmargin.toml); it must not be there."),
    ] = None,
) -> None:
    """Write a configuration for known deployments on some chains; without --chain, ask on the terminal. Asks no network."""
    from crossmargin.cli import starting

    answers = starting.Answers(chains=chain or (), protocols=protocol or (), nodes=node or (), data=data, output=output)
    starting.init(context.obj, answers)


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.", metavar="bash|zsh|fish")]) -> None:
    """Print a script by which a shell completes commands and options."""
    from crossmargin.cli.completing import script

    typer.echo(script(shell, app), nl=False)


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
    anonymous: Anonymous = False,
    one_process: Annotated[
        bool,
        typer.Option("--one-process", help="Read chains in this process too: less memory, slow answers meanwhile."),
    ] = False,
) -> None:
    """Follow every chain, make the scheduled snapshots and serve HTTP, until interrupted."""
    from crossmargin.cli import serving

    serving.run(context.obj, host=host, port=port, public=public, anonymous=anonymous, one_process=one_process)


@app.command()
def serve(
    context: Ctx,
    *,
    host: Host = None,
    port: Port = None,
    public: Public = False,
    anonymous: Anonymous = False,
    lake: Annotated[
        str | None,
        typer.Option(
            "--lake", metavar="URL", help="Serve the newest set of a lake instead: a folder, or s3://bucket/path."
        ),
    ] = None,
) -> None:
    """Serve what the store holds over HTTP, without indexing, until interrupted."""
    from crossmargin.cli import serving

    serving.serve(context.obj, host=host, port=port, public=public, anonymous=anonymous, lake=lake)


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
            help="Exit 5 when the lowest of the account's, its pools' and its units' health factors is below X.",
        ),
    ] = None,
    known_at: KnownAt = None,
) -> None:
    """Show an account's health, the venues' own numbers and the prices behind them. Exits 3 when unknown."""
    from crossmargin.cli import asking

    if known_at is not None:
        if at is not None or fail_below is not None:
            raise typer.BadParameter("--known-at says by itself which blocks it is of", param_hint="--known-at")
        asking.known(context.obj, account, at=known_at)
        return
    asking.health(context.obj, account, at=at, fail_below=fail_below)


@app.command()
def stress(
    context: Ctx,
    *,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="NAME", help="Only this one (covid-2020); may be given again."),
    ] = None,
    severity: Severity = "low",
    shock: Shocks = None,
    fund: Annotated[
        float | None,
        typer.Option(
            "--fund", metavar="USD", min=0, help="Also how many times each is too much for a fund of so much."
        ),
    ] = None,
    accrue: AccrueDays = 0,
    at: At = None,
) -> None:
    """Show what scenarios do to everybody: who falls below 1, what venues may liquidate, what is lacking."""
    from crossmargin.cli import stressing

    stressing.stress(
        context.obj, severity=severity, scenarios=scenario or (), shocks=shock or (), at=at, fund=fund, accrue=accrue
    )


@app.command()
def what_if(
    context: Ctx,
    account: AccountId,
    *,
    do: Annotated[
        list[str] | None,
        typer.Option(
            "--do",
            metavar="KIND:VENUE:ASSET=TOKENS",
            help="supply, withdraw, borrow or repay: repay:aave-v3-base:USDC=250; swap:VENUE:FROM>TO=TOKENS; "
            "move:VENUE>VENUE:ASSET=TOKENS; may be given again, in order.",
        ),
    ] = None,
    shock: Annotated[
        list[str] | None,
        typer.Option("--shock", metavar="NAME=MOVE", help="A relative move of a price: ETH=-0.3; may be given again."),
    ] = None,
    at: At = None,
) -> None:
    """Show an account's health before and after actions and moves of prices. Does nothing. Exits 3 when unknown after."""
    from crossmargin.cli import stressing

    stressing.what_if(context.obj, account, actions=do or (), shocks=shock or (), at=at)


@app.command()
def advise(
    context: Ctx,
    account: AccountId,
    *,
    usd: Annotated[
        float | None, typer.Option("--usd", metavar="USD", help="How much may be moved (else as configured).")
    ] = None,
    at: At = None,
) -> None:
    """Rank what an account may do to be further from a liquidation. Does nothing. Exits 3 when its health is unknown."""
    from crossmargin.cli import advising

    advising.advise(context.obj, account, usd=usd, at=at)


@app.command()
def at_risk(context: Ctx, *, at: At = None) -> None:
    """Show what may be liquidated at which price, and whose it is."""
    from crossmargin.cli import stressing

    stressing.at_risk(context.obj, at=at)


@app.command("risk-run")
def risk_run(context: Ctx) -> None:
    """Take the book through scenarios, prices and paths, and keep what it comes to for SQL (public.fct_risk_run)."""
    from crossmargin.cli import forecasting

    forecasting.risk_run(context.obj)


@app.command("watch-list")
def watch_list(
    context: Ctx,
    *,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, max=10_000, help="So many accounts.")] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed draws the same paths.")] = 0,
    at: At = None,
) -> None:
    """List who is likely to be liquidatable within an hour, a day and a week, the likeliest first."""
    from crossmargin.cli import forecasting

    forecasting.watch_list(context.obj, top=top, seed=seed, at=at)


@app.command()
def positions(context: Ctx, account: AccountId, *, at: At = None, known_at: KnownAt = None) -> None:
    """List an account's supplies and debts, venue by venue."""
    from crossmargin.cli import asking

    if known_at is not None:
        if at is not None:
            raise typer.BadParameter("--known-at says by itself which blocks it is of", param_hint="--known-at")
        asking.known_positions(context.obj, account, at=known_at)
        return
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


@account_app.command("link")
def account_link(
    context: Ctx,
    account: Account,
    *,
    wallet: Wallet,
    message_only: MessageOnly = False,
    signature: SignatureFile = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="For how long the signature is to count: 90d.")
    ] = "365d",
) -> None:
    """Print what a wallet must sign to belong to a margin account, or take in what it signed. Exits 4 when it did not."""
    from crossmargin.cli import memberships

    asked = memberships.Asked(account=account, wallet=wallet, message_only=message_only, signature=signature)
    memberships.link(context.obj, asked, expires=expires)


@account_app.command("revoke")
def account_revoke(
    context: Ctx,
    account: Account,
    *,
    wallet: Wallet,
    message_only: MessageOnly = False,
    signature: SignatureFile = None,
    by_operator: Annotated[
        bool, typer.Option("--by-operator", help="Take the wallet away without its signature; it is kept so.")
    ] = False,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why the operator does, for the ledger.")] = "",
) -> None:
    """Take a wallet from a margin account: by a message that it signed, or by the operator."""
    from crossmargin.cli import memberships

    asked = memberships.Asked(account=account, wallet=wallet, message_only=message_only, signature=signature)
    memberships.revoke(context.obj, asked, by_operator=by_operator, note=note)


@prices_app.callback()
def prices(context: Ctx, *, at: At = None) -> None:
    """List every asset's price, its age and where it comes from."""
    if context.invoked_subcommand is not None:
        if at is not None:
            raise typer.BadParameter("goes with `prices` alone", param_hint="--at")
        return
    from crossmargin.cli import asking

    asking.prices(context.obj, at=at)


SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="TEXT", help="Whose numbers these are; the file's name where nobody says."),
]


@prices_app.command("import")
def prices_import(
    context: Ctx,
    files: Histories,
    *,
    asset: Annotated[
        str | None,
        typer.Option(
            "--asset",
            metavar="IDENTITY",
            help="Whose history it is: same_as, or an asset's id. Else its column `asset`, else its name.",
        ),
    ] = None,
    source: SourceName = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Take in a history in which days are missing.")] = False,
    price: PriceColumn = "close",
) -> None:
    """Take in price histories by days: a column `date`, one of closes, and `low` and `high` where they are known."""
    from crossmargin.cli import histories

    histories.take_prices(context.obj, files, asset=asset, price=price, source=source, gaps=gaps)


@prices_app.command("list")
def prices_list(context: Ctx) -> None:
    """List the histories that are known, from feeds and from imports."""
    from crossmargin.cli import histories

    histories.list_prices(context.obj)


@prices_app.command("show")
def prices_show(context: Ctx, identity: Annotated[str, typer.Argument(metavar="IDENTITY")]) -> None:
    """Print every known day of one history, and who told it."""
    from crossmargin.cli import histories

    histories.show_prices(context.obj, identity)


@liquidity_app.command("import")
def liquidity_import(
    context: Ctx,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet: asset, as_of, daily_volume_usd, spread, fee.")
    ],
    *,
    source: SourceName = None,
) -> None:
    """Take in what assets can be sold for: USD a day, the spread and the fee as fractions."""
    from crossmargin.cli import histories

    histories.take_liquidity(context.obj, path, source=source)


@liquidity_app.command("list")
def liquidity_list(context: Ctx) -> None:
    """List the newest that is known of each asset's liquidity."""
    from crossmargin.cli import histories

    histories.list_liquidity(context.obj)


@transfers_app.command("import")
def transfers_import(
    context: Ctx,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet: a row for each message of a bridge.")],
    *,
    source: SourceName = None,
) -> None:
    """Take in messages of bridges that are sent, proven or delivered; they count nothing before they are there."""
    from crossmargin.cli import transfers

    transfers.take_in(context.obj, path, source=source)


@transfers_app.command("list")
def transfers_list(context: Ctx) -> None:
    """List the last that is known of every message."""
    from crossmargin.cli import transfers

    transfers.listing(context.obj)


@app.command()
def sql(
    context: Ctx,
    query: Annotated[
        str | None,
        typer.Argument(metavar="[QUERY]", help="One SELECT; read from stdin when absent, line by line on a terminal."),
    ] = None,
    *,
    form: Annotated[SqlFormat, typer.Option("--format", help="How to print the rows.")] = SqlFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the rows to a file.")
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Leave text in CSV as it is, even if a spreadsheet would compute it.")
    ] = False,
    snapshot: Annotated[
        Path | None,
        typer.Option(
            "--snapshot", metavar="SNAPSHOT", help="Ask the tables of this snapshot; its hash is in the answer."
        ),
    ] = None,
) -> None:
    """Ask the store's public views, or the tables of a snapshot, one SELECT; or several on a terminal."""
    from crossmargin.cli import sql as asked

    asked.sql(
        context.obj,
        query,
        form="json" if context.obj.json else form.value,
        output=output,
        formulas=formulas,
        snapshot=snapshot,
    )


@app.command()
def publish(context: Ctx) -> None:
    """Publish what is final as Parquet files and a small database of views, for analysts."""
    from crossmargin.cli import sql as asked

    asked.publish(context.obj)


@app.command()
def revalue(
    context: Ctx,
    *,
    engine: Annotated[Engine, typer.Option("--engine", help="What runs the views' SQL.")] = Engine.DUCKDB,
    lake: Annotated[
        str | None, typer.Option("--lake", metavar="FOLDER", help="Where book and rows lie; the configured lake, else.")
    ] = None,
    master: Annotated[
        str | None, typer.Option("--master", metavar="URL", help="Spark's cluster; all cores of this machine, else.")
    ] = None,
    tables: Annotated[
        str | None, typer.Option("--with", metavar="TABLES", help="Also stress, at-risk, or both: stress,at-risk.")
    ] = None,
    of_set: Annotated[
        bool, typer.Option("--set", help="Of the lake's newest set, not of the newest snapshot.")
    ] = False,
    severity: Severity = "low",
    scenarios: Annotated[
        list[str] | None, typer.Option("--scenario", metavar="NAME", help="Which scenarios; again for more. All, else.")
    ] = None,
    shocks: Shocks = None,
    fund: Annotated[
        float | None,
        typer.Option(
            "--fund", metavar="USD", help="Not here: `stress` alone tells how many times each is too much for a fund."
        ),
    ] = None,
    accrue: AccrueDays = 0,
) -> None:
    """Compute a whole book's margin accounts on an engine, and what is at risk, from Parquet to Parquet in a lake."""
    from crossmargin.cli import revaluing
    from crossmargin.stress_documents import wanted_of

    revaluing.revalue(
        context.obj,
        engine.value,
        lake=lake,
        master=master,
        tables=tables,
        of_set=of_set,
        wanted=wanted_of(severity, scenarios or (), shocks or (), fund, accrue),
    )


@lake_app.command("publish")
def lake_publish(context: Ctx) -> None:
    """Put the parts that are due into the lake: what each chain was at the cut-offs that became final."""
    from crossmargin.cli import lakes

    lakes.publish(context.obj)


@lake_app.command("join")
def lake_join(
    context: Ctx,
    every: Annotated[
        int | None, typer.Option("--every", metavar="SECONDS", min=1, help="Join again and again, until interrupted.")
    ] = None,
) -> None:
    """Let readers see the newest cut-off of which every configured chain has a part, once all of it is there."""
    from crossmargin.cli import lakes

    lakes.join(context.obj, every)


@lake_app.command("show")
def lake_show(context: Ctx) -> None:
    """Show the set that readers see, and how far each chain's newest part is."""
    from crossmargin.cli import lakes

    lakes.show(context.obj)


@lake_app.command("tidy")
def lake_tidy(
    context: Ctx,
    keep: Annotated[
        int, typer.Option("--keep", metavar="SETS", min=2, help="So many sets are kept, the newest.")
    ] = 100,
) -> None:
    """Remove old sets from the lake, and the files that nothing else names."""
    from crossmargin.cli import lakes

    lakes.tidy(context.obj, keep)


@app.command()
def mcp(context: Ctx) -> None:
    """Answer a program that speaks the Model Context Protocol, on stdin and stdout: read-only tools. Needs the extra mcp."""
    from crossmargin.cli import asking

    asking.tools(context.obj)


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


SnapshotFolder = Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="Its folder or its name.")]


@snapshot_app.command("verify")
def snapshot_verify(
    context: Ctx,
    folder: SnapshotFolder,
    *,
    key: Annotated[
        str | None, typer.Option("--key", metavar="HEX", help="A public key that is known to be the operator's.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", metavar="HEX", help="A public key that must have signed too.")
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain", help="Check every snapshot in the folder, and how they follow each other.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute every number again from the inputs in the snapshot.")
    ] = False,
    against_node: Annotated[
        list[str] | None,
        typer.Option("--against-node", metavar="URL", help="A node of one's own to compare a sample with; repeatable."),
    ] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="How many units of each venue (25).")] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="What chooses them; by chance without it.")] = None,
    guardians: Annotated[
        Path | None,
        typer.Option(
            "--guardians",
            metavar="FILE",
            help="Guardian sets and bridges (JSON) whom to believe about signed prices and messages.",
        ),
    ] = None,
    tsa_cert: Annotated[
        list[Path] | None,
        typer.Option(
            "--tsa-cert", metavar="FILE", help="An authority (PEM) that must have stamped its time; repeatable."
        ),
    ] = None,
) -> None:
    """Check a snapshot's files, tree, signature and chain, as its stand-alone verify.py does. Exits 4 when anything is wrong."""
    from crossmargin.cli.verifying import Checks, verify

    checks = Checks(
        key=key,
        witnesses=witness or (),
        chain=chain,
        recompute=recompute,
        nodes=against_node or (),
        sample=sample,
        seed=seed,
        guardians=guardians,
        tsa_certificates=tsa_cert or (),
    )
    verify(context.obj, folder, checks)


@snapshot_app.command("prove")
def snapshot_prove(
    context: Ctx, folder: SnapshotFolder, account: Annotated[str, typer.Argument(help="A margin account, or CAIP-10.")]
) -> None:
    """Print the proof that an account is in a snapshot, as JSON."""
    from crossmargin.cli import snapshots

    snapshots.prove(context.obj, folder, account)


@snapshot_app.command("diff")
def snapshot_diff(
    context: Ctx,
    first: Annotated[Path, typer.Argument(metavar="FROM", help="The folder or the name of a snapshot.")],
    second: Annotated[Path, typer.Argument(metavar="TO", help="The one that it is compared with.")],
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="How many rows of each table.")] = 20,
) -> None:
    """Show what became otherwise between two snapshots, and why."""
    from crossmargin.cli import snapshots

    snapshots.difference(context.obj, first, second, most=limit)


@snapshot_app.command("witness")
def snapshot_witness(
    context: Ctx,
    folder: SnapshotFolder,
    *,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of the witness, in PEM.")
    ] = None,
    tsa: Annotated[
        str | None, typer.Option("--tsa", metavar="URL", help="An authority that stamps the time (RFC 3161).")
    ] = None,
) -> None:
    """Sign the hash of an intact snapshot as somebody else than its operator, or have its time stamped."""
    from crossmargin.cli import witnessing

    witnessing.witness(context.obj, folder, key=key, tsa=tsa)


@keys_app.command("create")
def keys_create(context: Ctx) -> None:
    """Make the first key that signs snapshots; the first snapshot does so by itself."""
    from crossmargin.cli import keys

    keys.create(context.obj)


@keys_app.command("rotate")
def keys_rotate(context: Ctx) -> None:
    """Let a new key sign from now on, named by the one before it."""
    from crossmargin.cli import keys

    keys.rotate(context.obj)


@keys_app.command("list")
def keys_list(context: Ctx) -> None:
    """List the public keys, and from when on each signs."""
    from crossmargin.cli import keys

    keys.listing(context.obj)


@api_keys_app.command("create")
def keys_api_create(
    context: Ctx,
    name: Annotated[str, typer.Argument(help="Whose key it is, in your own words.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="What it allows: read, sql, import, follow or admin; may be given again."),
    ] = ["read"],  # noqa: B006 - typer copies it
    quota: Annotated[int | None, typer.Option("--quota", help="Requests a minute; without it any number.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="After how long, such as 90d; never.")] = None,
) -> None:
    """Make a key by which others ask over HTTP. It is printed once."""
    from crossmargin.cli import api_keys

    api_keys.create(context.obj, name, scopes=tuple(scope), quota=quota, expires=expires)


@api_keys_app.command("list")
def keys_api_list(context: Ctx) -> None:
    """List the API keys, without their secrets."""
    from crossmargin.cli import api_keys

    api_keys.listing(context.obj)


@api_keys_app.command("revoke")
def keys_api_revoke(context: Ctx, key_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")]) -> None:
    """Let a key hold no more, from the next request on."""
    from crossmargin.cli import api_keys

    api_keys.revoke(context.obj, key_id)


@webhooks_app.command("add")
def webhooks_add(
    context: Ctx,
    url: Annotated[str, typer.Argument(help="Where events go: https://….")],
    *,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be given again.")] = None,
    owner: Annotated[list[str] | None, typer.Option("--owner", help="Only of this owner; may be given again.")] = None,
    venue: Annotated[list[str] | None, typer.Option("--venue", help="Only at this venue; may be given again.")] = None,
    asset: Annotated[list[str] | None, typer.Option("--asset", help="Only of this asset; may be given again.")] = None,
    min_band: Annotated[str | None, typer.Option("--min-band", help="Only bands at least as bad on one side.")] = None,
) -> None:
    """Send events to an address from now on. The secret that signs them is printed once."""
    from crossmargin.cli import webhooks

    webhooks.add(
        context.obj,
        url,
        kinds=kind or (),
        owners=owner or (),
        venues=venue or (),
        assets=asset or (),
        min_band=min_band,
    )


@webhooks_app.command("list")
def webhooks_list(context: Ctx) -> None:
    """List the webhooks, without their secrets."""
    from crossmargin.cli import webhooks

    webhooks.listing(context.obj)


Webhook = Annotated[str, typer.Argument(metavar="ID", help="As listed.")]


@webhooks_app.command("remove")
def webhooks_remove(context: Ctx, webhook_id: Webhook) -> None:
    """Send nothing there any more, and forget its secret."""
    from crossmargin.cli import webhooks

    webhooks.remove(context.obj, webhook_id)


@webhooks_app.command("test")
def webhooks_test(context: Ctx, webhook_id: Webhook) -> None:
    """Send a test once; a disabled webhook that takes it is active again. Exits 1 when it is not taken."""
    from crossmargin.cli import webhooks

    webhooks.test(context.obj, webhook_id)


@webhooks_app.command("log")
def webhooks_log(context: Ctx, webhook_id: Webhook) -> None:
    """List what became of its newest events."""
    from crossmargin.cli import webhooks

    webhooks.log(context.obj, webhook_id)


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


@haircuts_app.command("show")
def haircuts_show(
    context: Ctx,
    *,
    value: Annotated[
        str | None, typer.Option("--value", metavar="USD", help="How much is sold at once: 1000000.")
    ] = None,
    at: At = None,
) -> None:
    """Show the layers of every asset's haircut, and what they rest on."""
    from crossmargin.cli import histories

    histories.show_haircuts(context.obj, value=value, at=at)


@policy_app.command("show")
def policy_show(
    context: Ctx,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="A time (2026-01-31T00:00:00Z or Unix seconds); else now."),
    ] = None,
) -> None:
    """Show the policy in force, its rules and what follows it."""
    from crossmargin.cli import policies

    policies.show(context.obj, at=at)


@policy_app.command("list")
def policy_list(context: Ctx) -> None:
    """List every policy that was ever in force or scheduled."""
    from crossmargin.cli import policies

    policies.listing(context.obj)


@policy_app.command("check")
def policy_check(context: Ctx, source: Source) -> None:
    """Read a policy file and say what it is, without entering it."""
    from crossmargin.cli import policies

    policies.check(context.obj, source)


@policy_app.command("preview")
def policy_preview(
    context: Ctx,
    source: Source,
    *,
    fail: Annotated[bool, typer.Option("--fail", help="Exit 5 when anybody would newly fall below 1.")] = False,
) -> None:
    """Value every account under a policy file and under the one that it would replace, at the tip."""
    from crossmargin.cli import policies

    policies.preview(context.obj, source, fail=fail)


@policy_app.command("schedule")
def policy_schedule(
    context: Ctx,
    source: Source,
    *,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Pass over the notice of a tightening; it is kept with the policy.")
    ] = False,
) -> None:
    """Enter a policy file: it counts from its effective_from on."""
    from crossmargin.cli import policies

    policies.schedule(context.obj, source, emergency=emergency)


@policy_app.command("withdraw")
def policy_withdraw(
    context: Ctx,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Of a policy that does not count yet.")],
    *,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for the ledger.")] = "",
    emergency: Annotated[
        bool,
        typer.Option("--emergency", help="Pass over the notice of what follows it; it is kept with the withdrawal."),
    ] = False,
) -> None:
    """Take a scheduled policy back before it counts."""
    from crossmargin.cli import policies

    policies.withdraw(context.obj, version, note=note, emergency=emergency)


@haircuts_app.command("estimate")
def haircuts_estimate(
    context: Ctx,
    files: AnyHistories = None,
    *,
    stored: Stored = None,
    horizon: Annotated[
        str,
        typer.Option("--horizon", metavar="TIME", help="How long a liquidation takes, with the time to notice: 4h."),
    ] = "4h",
    price: PriceColumn = "close",
) -> None:
    """Estimate how far each price may fall before a liquidation is done: maintenance at 99 %, initial at 99.7 %."""
    from crossmargin.cli import haircuts

    wanted = haircuts.Wanted(files=files or (), stored=stored or (), price=price)
    haircuts.estimate(context.obj, wanted, horizon=horizon)


@haircuts_app.command("backtest")
def haircuts_backtest(
    context: Ctx,
    files: AnyHistories = None,
    *,
    stored: Stored = None,
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

    wanted = haircuts.Wanted(files=files or (), stored=stored or (), price=price)
    haircuts.walk_forward(context.obj, wanted, models=tuple(model or ()), since=since, require=require)


@haircuts_app.command("recommend")
def haircuts_recommend(
    context: Ctx,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the draft of a policy to this new file.")
    ] = None,
) -> None:
    """Advise which haircuts the policy in force would have by the prices that were, and what that does to the book. Enters nothing."""
    from crossmargin.cli import learning

    learning.recommend(context.obj, out=out)


@haircuts_app.command("challenge")
def haircuts_challenge(context: Ctx, files: Days) -> None:
    """Let a learnt haircut stand beside filtered simulation over price histories; exits 4 where it is not promoted."""
    from crossmargin.cli import learning

    learning.challenge(context.obj, files)


@app.command()
def validate(
    context: Ctx,
    files: Days,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the tables and plots.")],
) -> None:
    """Judge all haircut models and chances on price histories, and write the pack; exits 4 where it does not hold."""
    from crossmargin.cli import learning

    learning.validate(context.obj, files, out=out)


@score_app.command("calibrate")
def score_calibrate(
    context: Ctx,
    files: Days,
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Judge only the days from here on: 2024-01-01.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Judge only the days up to here: 2023-12-31.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="N", min=1, max=7, help="Judge the watch list's chances within so many days."),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option("--pool", metavar="N", min=500, help="With --days: draw from so many days before; all."),
    ] = None,
) -> None:
    """Announce each day's chance of a fall from the days before, and count how often it came; exits 4 where that is wrong."""
    from crossmargin.cli import score

    if days is None and pool is not None:
        raise typer.BadParameter("a pool is drawn from with --days alone", param_hint="--pool")
    score.calibrate(context.obj, files, since=since, until=until, days=days, pool=pool)


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
def backup(
    context: Ctx,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The folder to make in [store] backups; else the time.")
    ] = None,
    *,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="Then remove all backups but the newest N.")
    ] = None,
) -> None:
    """Copy the whole store into a folder, also while a service runs."""
    from crossmargin.cli import backups

    backups.backup(context.obj, name=name, keep=keep)


@app.command()
def restore(
    context: Ctx,
    folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup, or the name of one in [store] backups.")],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Only check that it is whole.")] = False,
) -> None:
    """Check a backup and put it in the place of a store that is gone. Exits 4 when it is not whole."""
    from crossmargin.cli import backups

    backups.restore(context.obj, folder, verify_only=verify)


@app.command()
def rebuild(context: Ctx) -> None:
    """Derive everything again from what the nodes once said, without a network."""
    from crossmargin.cli import indexing

    indexing.rebuild(context.obj)


def main() -> None:
    """Run the command line and exit with its code."""
    guarded(app, hoisted)
