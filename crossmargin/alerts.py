"""Everything at once that somebody should look at: what is wrong or not known now, and what was changed or undone before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chains.model import Quarantined
from crossmargin.audited import said_of_holding, said_of_total
from crossmargin.coverage import said
from crossmargin.desk import Desk
from crossmargin.documents import Document, moment
from crossmargin.settings import Settings
from crossmargin.watch import Watch
from indexer.store import Reader, Store

MOST_OF_A_KIND = 200
"""Lines of one kind that are told, the newest; `left_out` counts the others."""

NOT_MADE = frozenset({"missed", "failed", "overdue", "late"})
DIFFERENT = f"""
SELECT chain_id, venue_id, block_number, unit_id, view, contract_address, market, ours, theirs, CAST(epoch(checked_at) AS BIGINT)
FROM public.fct_parity_check WHERE is_newest AND outcome = 'different'
ORDER BY checked_at DESC, chain_id, venue_id, unit_id, view, contract_address, market LIMIT {MOST_OF_A_KIND}
"""  # noqa: S608 - our own number
GOVERNED = f"""
WITH named AS (
    SELECT chain_id, venue_id, market_address, any_value(symbol) AS symbol
    FROM public.dim_market GROUP BY ALL HAVING count(DISTINCT asset_address) = 1
)
SELECT chain_id, venue_id, block_number, market_address, symbol, kind, aspect, state_before, state
FROM public.venue_alert LEFT JOIN named USING (chain_id, venue_id, market_address)
WHERE NOT is_first ORDER BY block_number DESC, chain_id, venue_id, aspect, market_address LIMIT {MOST_OF_A_KIND}
"""  # noqa: S608 - ditto


class Alerts:
    """Collects them; without a `watch` nobody follows, and no reorganisation was seen."""

    def __init__(self, settings: Settings, store: Store, desk: Desk, watch: Watch | None) -> None:
        self._settings = settings
        self._store = store
        self._desk = desk
        self._watch = watch

    def now(self, status: Document) -> Document:
        """Return them beside a status document of now; raises `StoreError`.

        `open`: what is so now, a line each (`kind`, `chain`, `subject`, `block`, `detail`); `differences`: views of contracts that say
        otherwise; `quarantine`; `reorgs`: what was seen since the service began, `None` where nobody follows; `restatements`;
        `changes`: what venues' governance changed; `snapshots`: slots that were not made in time.
        """
        slots = self._desk.snapshots()["snapshots"]
        with self._store.reading() as reader:
            quarantine = list(self._quarantine(reader))
            restated = list(self._restated(reader))
        return {
            "open": list(_open(status)),
            "differences": self._rows(DIFFERENT, DIFFERENCE),
            "quarantine": quarantine[:MOST_OF_A_KIND],
            "quarantined": len(quarantine),
            "reorgs": self._reorgs(),
            "restatements": restated[:MOST_OF_A_KIND],
            "changes": self._rows(GOVERNED, CHANGE),
            "snapshots": [slot for slot in slots if slot["state"] in NOT_MADE][:MOST_OF_A_KIND],
        }

    def _rows(self, query: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [dict(zip(names, row, strict=True)) for row in self._desk.sql(query)["rows"]]

    def _reorgs(self) -> list[dict[str, Any]] | None:
        if self._watch is None:
            return None
        return [
            {"chain": each.chain_id, "depth": each.depth, "to": each.to, "seen_at": moment(int(each.seen_at))}
            for each in self._watch.reorgs
        ]

    def _quarantine(self, reader: Reader) -> Iterator[dict[str, Any]]:
        """Yield what was not understood, by chain, the newest first; `doubtful`: whether it may have changed a number of its venue."""
        for chain in self._settings.chains:
            cursor = reader.cursor(chain.spec.id)
            if cursor is not None:
                doubtful = set(reader.doubtful(chain.spec.id, cursor.block))
                for each in reversed(reader.quarantined(chain.spec.id, cursor.block)):
                    yield _quarantined(chain.spec.id, each, doubtful=each.venue_id in doubtful)

    def _restated(self, reader: Reader) -> Iterator[dict[str, Any]]:
        """Yield what was read again, the newest first."""
        found = [each for chain in self._settings.chains for each in reader.restatements(chain.spec.id)]
        for each in sorted(found, key=lambda one: (-one.at, one.chain_id, one.interest)):
            yield {
                "restated_at": moment(each.at),
                "chain": each.chain_id,
                "interest": each.interest,
                "first": each.from_block,
                "last": each.to_block,
                "blocks": each.to_block - each.from_block + 1,
                "cause": each.cause,
                "changed": each.changed,
            }


DIFFERENCE = ("chain", "venue", "block", "unit", "view", "contract", "market", "ours", "theirs", "checked_at")
CHANGE = ("chain", "venue", "block", "market", "symbol", "kind", "aspect", "before", "after")


def _open(status: Document) -> Iterator[dict[str, Any]]:
    for chain in status["chains"]:
        if chain["reason"] is not None:
            yield _line(
                "stopped", chain, chain["name"], None, f"{chain['reason']['code']}: {chain['reason']['detail']}"
            )
        elif chain["fault"] is not None:
            yield _line("fault", chain, chain["name"], None, chain["fault"])
        yield from _missing(chain)
        for venue in chain["audited"]:
            yield from _audited(chain, venue)


def _missing(chain: Document) -> Iterator[dict[str, Any]]:
    """Yield what of a chain is not taken in, not proven as asked for, contradicted, or derived by an older version."""
    for each in chain["incomplete"]:
        detail = f"blocks from {each['from_block']} on are missing; they are being filled in"
        yield _line("incomplete", chain, each["venue"] or each["feed"], each["from_block"], detail)
    for each in chain["outdated"]:
        detail = f"made by version {each['version']} of its derivation, {each['current']} is current: {each['mend']}"
        yield _line("outdated", chain, each["venue"], None, detail)
    for each in chain["coverage"]:
        for finding in each["findings"]:
            yield _line("finding", chain, each["interest"], finding["block"], said(finding))
        if each["unproven_blocks"]:
            detail = f"{each['unproven_blocks']:,} final blocks have less evidence than is asked for (weakest: {each['weakest']})"
            yield _line("coverage", chain, each["interest"], each["unproven"][0]["first"], detail)


def _audited(chain: Document, venue: Document) -> Iterator[dict[str, Any]]:
    for each in venue["shortfalls"]:
        yield _line("short", chain, venue["venue"], each["block"], said_of_holding(each))
    for each in venue["residuals"]:
        if each["outcome"] == "different":
            yield _line("total", chain, venue["venue"], each["block"], said_of_total(each))
    if venue["views"]["different"]:
        detail = f"{venue['views']['different']:,} views of contracts say something else than what is stored"
        yield _line("parity", chain, venue["venue"], venue["last"]["block"] if venue["last"] else None, detail)


def _line(kind: str, chain: Document, subject: str, block: int | None, detail: str) -> dict[str, Any]:
    return {"kind": kind, "chain": chain["chain"], "subject": subject, "block": block, "detail": detail}


def _quarantined(chain_id: str, each: Quarantined, *, doubtful: bool) -> dict[str, Any]:
    return {
        "chain": chain_id,
        "venue": each.venue_id,
        "block": each.block,
        "reason": each.reason,
        "word": f"0x{each.word.hex()}",
        "doubtful": doubtful,
    }
