"""`snapshot`: every account at one cut, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.options import At, Ctx

snapshot_app = typer.Typer(no_args_is_help=True, help="Snapshots of every account at one cut-off.")


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
    """Show what changed between two snapshots, and why."""
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
    """Witness an intact snapshot: sign its hash as someone other than its operator, or have it time-stamped."""
    from crossmargin.cli import witnessing

    witnessing.witness(context.obj, folder, key=key, tsa=tsa)
