"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Days = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="CSV or Parquet with the columns date, low, high and close, one asset each."),
]
PriceColumn = Annotated[str, typer.Option("--price", metavar="COLUMN", help="The column of prices in USD.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="A file, or - for stdin.")]
Severity = Annotated[str, typer.Option("--severity", metavar="day|close|low", help="Which of a window's moves counts.")]
Shocks = Annotated[
    list[str] | None,
    typer.Option("--shock", metavar="NAME=MOVE", help="A scenario of your own: ETH=-0.3; may be given again."),
]
AccrueDays = Annotated[int, typer.Option("--accrue", metavar="DAYS", help="Interest accrues for so many days before.")]
