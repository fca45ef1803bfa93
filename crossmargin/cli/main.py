"""The commands: what each takes and says in `--help`. What it does is loaded when it is called."""

from __future__ import annotations

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.accounts import account_app
from crossmargin.cli.commands.haircuts import haircuts_app, score_app
from crossmargin.cli.commands.histories import liquidity_app, prices_app, transfers_app
from crossmargin.cli.commands.keys import keys_app
from crossmargin.cli.commands.lakes import lake_app
from crossmargin.cli.commands.liabilities import liabilities_app
from crossmargin.cli.commands.liquidations import liquidations_app
from crossmargin.cli.commands.options import AccountId, AccrueDays, At, Ctx, Days, Severity, Shocks
from crossmargin.cli.commands.policies import policy_app
from crossmargin.cli.commands.snapshots import snapshot_app
from crossmargin.cli.commands.webhooks import webhooks_app
from crossmargin.cli.completing import Shell
from crossmargin.cli.context import Context, hoisted
from crossmargin.cli.failures import guarded
from crossmargin.pauses import THRESHOLDS

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
app.add_typer(account_app, name="account")
app.add_typer(snapshot_app, name="snapshot")
app.add_typer(keys_app, name="keys")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(liabilities_app, name="liabilities")
app.add_typer(haircuts_app, name="haircuts")
app.add_typer(prices_app, name="prices")
app.add_typer(liquidity_app, name="liquidity")
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


KnownAt = Annotated[
    str | None,
    typer.Option("--known-at", metavar="TIME", help="What was answered then, and why it is otherwise now."),
]
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
        bool, typer.Option("--accept-policy", help="Put the configured policy into force now, without notice.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
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
    """Print a shell completion script for commands and options."""
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
    """Measure what each configured node can do. Exits 3 when one cannot be trusted, 1 when a chain has no usable node."""
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
    """Show what scenarios do to all accounts: who falls below 1, what venues could liquidate, what is not covered."""
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
    """Show an account's health before and after hypothetical actions and price moves. Exits 3 when unknown afterwards."""
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
    """Rank what would move an account away from liquidation; executes nothing. Exits 3 when its health is unknown."""
    from crossmargin.cli import advising

    advising.advise(context.obj, account, usd=usd, at=at)


@app.command()
def at_risk(context: Ctx, *, at: At = None) -> None:
    """Show what could be liquidated at which price, and from whom."""
    from crossmargin.cli import stressing

    stressing.at_risk(context.obj, at=at)


@app.command("risk-run")
def risk_run(context: Ctx) -> None:
    """Run scenarios, price moves and simulated paths over the whole book, and keep the results for SQL (public.fct_risk_run)."""
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
    """List the accounts likely to become liquidatable within an hour, a day and a week, likeliest first."""
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
    """Run one SELECT on the store's public views or on a snapshot's tables; several, one by one, on a terminal."""
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
    """Publish final data as Parquet files and a small database of views, for analysts."""
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
    """Compute a whole book's margin accounts and what is at risk on an engine, from Parquet to Parquet in a lake."""
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


@app.command()
def mcp(context: Ctx) -> None:
    """Serve read-only tools over the Model Context Protocol on stdin and stdout. Needs the extra mcp."""
    from crossmargin.cli import asking

    asking.tools(context.obj)


@app.command()
def inputs(context: Ctx, digest: Annotated[str, typer.Argument(metavar="DIGEST")]) -> None:
    """Print the stored inputs of a health document, by its input_digest."""
    from crossmargin.cli import asking

    asking.inputs(context.obj, digest)


@app.command()
def validate(
    context: Ctx,
    files: Days,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the tables and plots.")],
) -> None:
    """Backtest all haircut models and breach probabilities on price histories, and write the pack; exits 4 where one fails."""
    from crossmargin.cli import learning

    learning.validate(context.obj, files, out=out)


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
    """Prove that no log of stored final blocks is missing. Exits 4 where one is."""
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
    """Read stored blocks again from the nodes, and take over what has changed."""
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
    """Check a backup and put it in place of a lost store. Exits 4 when it is incomplete."""
    from crossmargin.cli import backups

    backups.restore(context.obj, folder, verify_only=verify)


@app.command()
def rebuild(context: Ctx) -> None:
    """Derive all tables again from the stored raw data, without a network."""
    from crossmargin.cli import indexing

    indexing.rebuild(context.obj)


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(*THRESHOLDS)
    guarded(app, hoisted)
