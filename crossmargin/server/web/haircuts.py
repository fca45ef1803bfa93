"""What comes off each asset now, and how that was."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregator.audit.report.page import figures
from crossmargin.documents import Document, symbol
from crossmargin.server.web.figures import percent
from crossmargin.server.web.frame import Grid, Page, chain_warnings, link, shortened, standing_at, titled, whole

KEYS = ("market", "liquidity", "peg", "bridge", "chain", "static", "total")
LAYER_COLUMNS = ("asset", "on", "class", *KEYS, "assumed")
PURPOSES = (("maintenance", "Haircuts for the maintenance margin"), ("initial", "Haircuts for the initial margin"))
VERSION_COLUMNS = ("class", "policy", "from", "state", "haircut", "liquidation threshold", "initial factor")
DAY_COLUMNS = ("asset", "chain", "at", "regime", "maintenance", "initial", "market", "liquidity")
PATH, HISTORY = "/ui/haircuts", "/ui/haircuts/history"


def haircuts(found: Document, versions: Sequence[Document], status: Document) -> Page:
    """The layers of every asset now, and what each policy of the ledger takes off by class."""
    return Page(
        path=PATH,
        title="Haircuts",
        lead="How much is taken off each asset before it counts as collateral, for a sale of one million USD.",
        as_of=standing_at(status),
        warnings=chain_warnings(status),
        parts=[
            figures(
                [
                    ("Regime", found["regime"]),
                    ("Estimates of", found["day"] or "–"),
                    ("Over the last days", link(HISTORY, "History")),
                ]
            ),
            *(_layers(found, purpose, title) for purpose, title in PURPOSES),
            _versions(versions),
        ],
    )


def history(days: Sequence[Document], status: Document) -> Page:
    """The haircuts of the last days, each as it was at that time."""
    return Page(
        path=HISTORY,
        title="Haircuts over the last days",
        lead="At the last stored block and on the whole days before it, under the policy in force at each time.",
        as_of=standing_at(status),
        warnings=chain_warnings(status),
        parts=[_days(days)],
    )


def _layers(found: Document, purpose: str, title: str) -> Grid:
    layers = [(each["identity"], asset) for each in found["haircuts"] for asset in each["assets"]]
    return Grid(
        name=purpose,
        title=title,
        columns=LAYER_COLUMNS,
        rows=[
            (
                titled(_name(asset, identity), asset["asset"]),
                shortened(_chain(asset)),
                whole(asset["class"]),
                *(_layer(asset, purpose, key) for key in KEYS),
                ", ".join(asset["assumed"]),
            )
            for identity, asset in layers
        ],
        plain=[
            (
                asset["asset"],
                _chain(asset),
                asset["class"],
                *(asset[purpose][key] for key in KEYS),
                " ".join(asset["assumed"]),
            )
            for _, asset in layers
        ],
        numbers=frozenset(KEYS),
        note="“Assumed” values rest on no measurement; – marks a layer without data, which takes off nothing.",
    )


def _versions(versions: Sequence[Document]) -> Grid:
    keys = ("class", "version", "effective_from", "state", "haircut", "liquidation_threshold", "initial_factor")
    return Grid(
        name="versions",
        title="By policy",
        columns=VERSION_COLUMNS,
        rows=[
            (
                each["class"],
                each["version"] or "unnamed",
                each["effective_from"] or "the beginning",
                each["state"],
                each["haircut"],
                "the venue's" if each["venue_threshold"] else each["liquidation_threshold"],
                each["initial_factor"],
            )
            for each in versions
        ],
        plain=[tuple(each[key] for key in keys) for each in versions],
        numbers=frozenset(VERSION_COLUMNS[4:]),
        note="Haircuts by class under every past, current and scheduled policy that was not withdrawn.",
    )


def _days(days: Sequence[Document]) -> Grid:
    lines = [
        (asset, each, found["identity"]) for each in days for found in each["haircuts"] for asset in found["assets"]
    ]
    lines.sort(key=lambda line: (line[0]["asset"], line[1]["at"]), reverse=False)
    return Grid(
        name="days",
        title="By asset and day",
        columns=DAY_COLUMNS,
        rows=[
            (
                titled(_name(asset, identity), asset["asset"]),
                shortened(_chain(asset)),
                whole(day["at"]),
                day["regime"],
                percent(asset["maintenance"]["total"]),
                percent(asset["initial"]["total"]),
                percent(asset["maintenance"]["market"]),
                percent(asset["maintenance"]["liquidity"]),
            )
            for asset, day, identity in lines
        ],
        plain=[
            (
                asset["asset"],
                _chain(asset),
                day["at"],
                day["regime"],
                asset["maintenance"]["total"],
                asset["initial"]["total"],
                asset["maintenance"]["market"],
                asset["maintenance"]["liquidity"],
            )
            for asset, day, _ in lines
        ],
        numbers=frozenset(DAY_COLUMNS[4:]),
    )


def _chain(asset: Document) -> str:
    return str(asset["asset"]).partition("/")[0]


def _name(asset: Document, identity: str) -> str:
    return symbol(asset["symbol"] or identity)


def _layer(asset: Document, purpose: str, layer: str) -> str | None:
    """Show a layer; one that is nothing only because nothing is known is none."""
    share: str | None = asset[purpose][layer]
    unknown = layer in asset["assumed"] and share is not None and not Decimal(share)
    return None if unknown else percent(share)
