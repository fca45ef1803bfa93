"""How far each chain is, and whether it may be believed."""

from __future__ import annotations

from typing import Any

from chains.identifiers import format_address, format_hash
from chains.model import Reason
from chains.redaction import label
from crossmargin.app import configured
from crossmargin.audited import standing_documents
from crossmargin.coverage import coverage_document
from crossmargin.documents import Document, moment
from crossmargin.outdated import outdated
from crossmargin.packaged import program_version
from crossmargin.settings import ChainSettings, Settings
from crossmargin.watch import Watch
from indexer.lacking import lacking
from indexer.store import Cursor, Reader

NOTHING_YET = "nothing is indexed yet; run `crossmargin index` or `crossmargin run`"


def standing(settings: Settings, reader: Reader, watch: Watch | None, now: float) -> Document:
    """Return the status document; without a watch nobody follows, and only what is stored is told."""
    made = [row.created_at for row in reader.snapshots() if row.state == "done"]
    audited, made_before = standing_documents(reader), list(outdated(reader, settings.venues, settings.feeds))
    return {
        "version": program_version(),
        "following": watch is not None,
        "chains": [
            {
                **_chain(chain, reader, watch, now),
                "venues": _venues(settings, chain.spec.id, reader),
                "incomplete": _incomplete(settings, chain.spec.id, reader),
                "outdated": [
                    {
                        "venue": each.venue_id,
                        "version": each.version,
                        "current": each.current,
                        "lacks": each.lacks,
                        "mend": each.mend,
                    }
                    for each in made_before
                    if each.chain_id == chain.spec.id
                ],
                "audited": audited.get(chain.spec.id, []),
            }
            for chain in settings.chains
        ],
        "last_snapshot_at": max(made, default=None),
    }


def _chain(chain: ChainSettings, reader: Reader, watch: Watch | None, now: float) -> dict[str, Any]:
    chain_id = chain.spec.id
    cursor = reader.cursor(chain_id)
    reason = _reason(chain_id, cursor, watch)
    sight = watch.sight(chain_id) if watch is not None else None
    head = sight.head.latest.number if sight is not None and sight.head is not None else None
    age_s = None if cursor is None else max(0, int(now) - cursor.block.time)
    is_old = watch is None and age_s is not None and age_s > chain.stale_after_s
    return {
        "chain": chain_id,
        "name": chain.spec.name,
        "state": _state(cursor, watch, reason),
        "indexed": _block(chain_id, cursor),
        "finalized_block": cursor.finalized if cursor is not None and cursor.finalized >= 0 else None,
        "head_block": head,
        "lag_blocks": None if head is None or cursor is None else max(0, head - cursor.block.number),
        "lag_seconds": age_s,
        "stale": reason is not None or is_old,
        "polled_at": moment(int(sight.polled_at)) if sight is not None and sight.polled_at is not None else None,
        "fault": sight.fault if sight is not None else None,
        "indexer": None if chain.indexer is None else label(chain.indexer.url),
        "reason": None if reason is None else reason._asdict(),
        "coverage": coverage_document(
            chain.spec,
            reader.coverage(chain_id),
            reader.findings(chain_id),
            cursor.finalized if cursor is not None else -1,
        ),
    }


def _venues(settings: Settings, chain_id: str, reader: Reader) -> list[dict[str, Any]]:
    """The first block of each venue, and how it was found where the configuration left it open once."""
    starts = reader.starts()
    found = {venue.id: starts.get((chain_id, venue.address)) for venue in settings.venues_of(chain_id)}
    return [
        {
            "venue": venue.id,
            "start_block": venue.start_block,
            "found": start.evidence if (start := found[venue.id]) and start.block == venue.start_block else None,
        }
        for venue in settings.venues_of(chain_id)
    ]


def _incomplete(settings: Settings, chain_id: str, reader: Reader) -> list[dict[str, Any]]:
    """What came into the configuration later and is not filled in yet, each with the first block that is missing."""
    lack = lacking(reader, configured(settings, chain_id))
    if lack is None:
        return []
    venues = [{"venue": interest.venue_id, "feed": None, "from_block": interest.first} for interest in lack.interests]
    feeds = [
        {"venue": None, "feed": format_address(chain_id, feed.address), "from_block": lack.start} for feed in lack.feeds
    ]
    return [*venues, *feeds]


def _reason(chain_id: str, cursor: Cursor | None, watch: Watch | None) -> Reason | None:
    if watch is not None:
        return watch.doubt(chain_id, cursor.block if cursor is not None else None)
    return Reason("chain_empty", chain_id, NOTHING_YET) if cursor is None else None


def _state(cursor: Cursor | None, watch: Watch | None, reason: Reason | None) -> str:
    if reason is not None:
        return reason.code.removeprefix("chain_")
    return "stored" if watch is None or cursor is None else "following"


def _block(chain_id: str, cursor: Cursor | None) -> dict[str, Any] | None:
    if cursor is None:
        return None
    block = cursor.block
    return {"block": block.number, "hash": format_hash(chain_id, block.hash), "time": moment(block.time)}
