"""`liquidations`: what its commands take and say in `--help`."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.commands.options import AccrueDays, Ctx, Severity, Shocks
from crossmargin.liquidation_asked import Asked

liquidations_app = typer.Typer(no_args_is_help=True, help="Simulated liquidations; nothing is executed.")

Scenario = Annotated[
    str | None, typer.Option("--scenario", metavar="NAME", help="One of the library (covid-2020); else prices stay.")
]
Order = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="ORDER",
        help="Which collateral goes first: least_liquid_first, pro_rata, most_liquid_first or cheapest_per_health.",
    ),
]
Cap = Annotated[
    float, typer.Option("--impact-cap", metavar="SHARE", help="The most that a round's sales lose; 1: no cap.")
]
Limit = Annotated[
    float | None, typer.Option("--venue-limit", metavar="USD", help="The most that is paid at a venue in a round.")
]
Profitable = Annotated[bool, typer.Option("--profitable-only", help="Nobody liquidates at a loss.")]
Depth = Annotated[
    float | None, typer.Option("--depth", metavar="SHARE", help="How much of the usual liquidity there is: 0.1.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Draws the order of units that are alike.")]
Funds = Annotated[
    list[str] | None,
    typer.Option("--venue-fund", metavar="VENUE=USD", help="What stands behind a venue; may be given again."),
]
Fund = Annotated[float, typer.Option("--fund", metavar="USD", help="What stands behind all venues.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="WHEN", help="As of a block, a block of each chain, or a time.")
]


@liquidations_app.command("simulate")
def simulate(
    context: Ctx,
    *,
    scenario: Scenario = None,
    severity: Severity = "low",
    shock: Shocks = None,
    order: Order = "least_liquid_first",
    impact_cap: Cap = 0.05,
    venue_limit: Limit = None,
    profitable_only: Profitable = False,
    depth: Depth = None,
    seed: Seed = 0,
    venue_fund: Funds = None,
    fund: Fund = 0.0,
    accrue: AccrueDays = 0,
    at: At = None,
) -> None:
    """Liquidate every eligible account after a scenario, round by round, in every order of sale."""
    from crossmargin.cli import liquidations

    asked = Asked(
        scenario=scenario,
        severity=severity,
        shocks=tuple(shock or ()),
        order=order,
        impact_cap=impact_cap,
        venue_limit_usd=venue_limit,
        profitable_only=profitable_only,
        depth=depth,
        seed=seed,
        funds=tuple(venue_fund or ()),
        fund_usd=fund,
        accrue_days=accrue,
    )
    liquidations.simulate(context.obj, asked, at=at)


@liquidations_app.command("freeze")
def freeze(
    context: Ctx,
    *,
    days: Annotated[
        list[int] | None,
        typer.Option(
            "--days", metavar="N", help="How long nothing moves; may be given again. Else as the library says."
        ),
    ] = None,
    scenario: Scenario = None,
    severity: Severity = "low",
    shock: Shocks = None,
    order: Order = "least_liquid_first",
    impact_cap: Cap = 0.05,
    depth: Depth = None,
    seed: Seed = 0,
    venue_fund: Funds = None,
    fund: Fund = 0.0,
    at: At = None,
) -> None:
    """Freeze the market for days while interest accrues, then liquidate every eligible account at once."""
    from crossmargin.cli import liquidations

    asked = Asked(
        scenario=scenario,
        severity=severity,
        shocks=tuple(shock or ()),
        order=order,
        impact_cap=impact_cap,
        depth=depth,
        seed=seed,
        funds=tuple(venue_fund or ()),
        fund_usd=fund,
        days=tuple(days or ()),
    )
    liquidations.freeze(context.obj, asked, at=at)


@liquidations_app.command("lag")
def lag(
    context: Ctx,
    *,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME", help="Days that happened: covid-2020, worst-3d.")
    ],
    hours: Annotated[float, typer.Option("--hours", metavar="N", help="By how much venues' prices are late.")] = 1.0,
    order: Order = "least_liquid_first",
    impact_cap: Cap = 0.05,
    profitable_only: Profitable = False,
    depth: Depth = None,
    seed: Seed = 0,
    venue_fund: Funds = None,
    fund: Fund = 0.0,
    accrue: AccrueDays = 0,
    at: At = None,
) -> None:
    """Liquidate every eligible account on each day of a window, with venues seeing prices late."""
    from crossmargin.cli import liquidations

    asked = Asked(
        scenario=scenario,
        order=order,
        impact_cap=impact_cap,
        profitable_only=profitable_only,
        depth=depth,
        seed=seed,
        funds=tuple(venue_fund or ()),
        fund_usd=fund,
        accrue_days=accrue,
        lag_h=hours,
    )
    liquidations.lag(context.obj, asked, at=at)
