"""Oracles and chains: what everything rests on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN

from aggregator.audit.report.page import marked
from crossmargin.documents import Document
from crossmargin.server.web.figures import counted, price_of
from crossmargin.server.web.frame import Grid, Page, chain_warnings, shortened, standing_at, titled, whole, with_doubts

ROUNDED = {"low": ROUND_FLOOR, "mid": ROUND_HALF_EVEN, "high": ROUND_CEILING}
SOUND = frozenset({"ok", "degraded"})
MARK_COLUMNS = ("price of", "state", "low", "middle", "high", "age s", "operators", "why")
FEED_COLUMNS = ("price of", "feed", "kind", "chain", "says USD", "age s", "heartbeat s", "used", "why not")
CHAIN_COLUMNS = ("chain", "name", "state", "block", "time", "final", "head", "behind s", "trustworthy")
NOT_FOLLOWED = "stale: not being followed"
COVER_COLUMNS = ("chain", "what", "from", "to", "weakest evidence", "unproven blocks", "findings")


def oracles(prices: Document, status: Document) -> Page:
    """Every mark with its state, and every observation that was used or left out."""
    found = prices["prices"]
    feeds = [(price["identity"], feed) for price in found for feed in price["feeds"]]
    doubtful = [f"{price['identity']} is {price['state']}" for price in found if price["state"] not in SOUND]
    return Page(
        path="/ui/prices",
        title="Oracles",
        lead="The mark of every asset, its sources and its state; every discarded observation gives its reason.",
        as_of=with_doubts(prices["as_of"], status),
        warnings=[*chain_warnings(status), *doubtful],
        parts=[_marks(found), _feeds(feeds)],
    )


def chains(status: Document) -> Page:
    """How far every chain is indexed, how sure it is that nothing is missing, and what was found wrong."""
    found = status["chains"]
    cover = [(chain["name"], each) for chain in found for each in chain["coverage"]]
    return Page(
        path="/ui/chains",
        title="Chains",
        lead="How far each chain is indexed, and how certain it is that nothing is missing.",
        as_of=standing_at(status),
        warnings=chain_warnings(status),
        parts=[
            Grid(
                name="chains",
                title="Chains",
                columns=CHAIN_COLUMNS,
                rows=[_chain(chain) for chain in found],
                plain=[_plain_chain(chain) for chain in found],
                numbers=frozenset({"block", "final", "head", "behind s"}),
            ),
            Grid(
                name="coverage",
                title="Coverage",
                columns=COVER_COLUMNS,
                rows=[
                    (
                        whole(name),
                        whole(each["interest"]),
                        counted(each["first"]),
                        counted(each["last"]),
                        each["weakest"],
                        counted(each["unproven_blocks"]),
                        len(each["findings"]) or None,
                    )
                    for name, each in cover
                ],
                plain=[
                    (
                        name,
                        *(each[key] for key in ("interest", "first", "last", "weakest", "unproven_blocks")),
                        len(each["findings"]) or None,
                    )
                    for name, each in cover
                ],
                numbers=frozenset({"from", "to", "unproven blocks", "findings"}),
            ),
        ],
    )


def _marks(found: Sequence[Document]) -> Grid:
    return Grid(
        name="marks",
        title="Marks",
        columns=MARK_COLUMNS,
        rows=[
            (
                price["identity"],
                marked(
                    price["state"],
                    "good" if price["state"] == "ok" else "warn" if price["state"] in SOUND else "bad",
                ),
                *(price[key] and price_of(price[key], towards) for key, towards in ROUNDED.items()),
                counted(price["age_s"]),
                ", ".join(price["operators"]),
                ", ".join(price["reasons"]),
            )
            for price in found
        ],
        plain=[
            (
                *(price[key] for key in ("identity", "state", "low", "mid", "high", "age_s")),
                " ".join(price["operators"]),
                " ".join(price["reasons"]),
            )
            for price in found
        ],
        numbers=frozenset({"low", "middle", "high", "age s"}),
    )


def _feeds(feeds: Sequence[tuple[str, Document]]) -> Grid:
    return Grid(
        name="feeds",
        title="Observations",
        columns=FEED_COLUMNS,
        rows=[
            (
                identity,
                shortened(feed["feed"]),
                whole(feed["kind"]),
                shortened(feed["chain"]),
                feed["price_usd"] and price_of(feed["price_usd"]),
                *(counted(feed[key]) for key in ("age_s", "heartbeat_s")),
                marked("yes", "good") if feed["used"] else marked("no", "bad"),
                feed["reason"],
            )
            for identity, feed in feeds
        ],
        plain=[
            (
                identity,
                *(
                    feed[key]
                    for key in ("feed", "kind", "chain", "price_usd", "age_s", "heartbeat_s", "used", "reason")
                ),
            )
            for identity, feed in feeds
        ],
        numbers=frozenset({"says USD", "age s", "heartbeat s"}),
    )


def _chain(chain: Document) -> tuple[object, ...]:
    indexed = chain["indexed"] or {"block": None, "time": None}
    return (
        shortened(chain["chain"]),
        whole(chain["name"]),
        titled(f"{chain['state']} elsewhere", chain["indexer"]) if chain["indexer"] else chain["state"],
        counted(indexed["block"]),
        indexed["time"] and whole(indexed["time"]),
        *(counted(chain[key]) for key in ("finalized_block", "head_block", "lag_seconds")),
        marked(_believed(chain), "bad" if chain["stale"] else "good"),
    )


def _plain_chain(chain: Document) -> tuple[object, ...]:
    indexed = chain["indexed"] or {"block": None, "time": None}
    return (
        *(chain[key] for key in ("chain", "name", "state")),
        *(indexed[key] for key in ("block", "time")),
        *(chain[key] for key in ("finalized_block", "head_block", "lag_seconds")),
        _believed(chain),
    )


def _believed(chain: Document) -> str:
    if chain["reason"] is not None:
        return str(chain["reason"]["code"])
    return NOT_FOLLOWED if chain["stale"] else "yes"
