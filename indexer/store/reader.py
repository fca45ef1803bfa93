"""Everything that can be asked of the store, over one connection in one read transaction: all answers are of one state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from chains.auditing import Reply, WholeRecords
from chains.model import AccountBytes, Block, PriceAnswer, Quarantined, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import Covered, Finding, Start
from indexer.steps import Interest, Place, Tables
from indexer.store import asof, controls, histories, ledger, risk_runs
from indexer.store.api_keys import ApiKeyRow, api_keys
from indexer.store.apply import Cursor, cursor
from indexer.store.controls import Look, ParityRun, Row
from indexer.store.coverage import coverage, findings
from indexer.store.events import AccountEvent, EventPlace, account_events
from indexer.store.histories import FeedDay, ImportedDay, ImportedLiquidity
from indexer.store.journals import DERIVED
from indexer.store.ledger import Answer, SnapshotRow
from indexer.store.liabilities import END_OF_TIME, LiabilityRow, newest
from indexer.store.makers import makers
from indexer.store.memberships import CheckRow, EvidenceRow, checks, evidence
from indexer.store.policies import PolicyRow, policies
from indexer.store.raw import block_of, blocks, family
from indexer.store.records import StoredRecords
from indexer.store.register import complete_feeds
from indexer.store.restate import Restatement, logs_gone, restated_snapshots, restatements
from indexer.store.session import Con, staged
from indexer.store.statements import statement
from indexer.store.told import EventEnds, EventRow, event_ends, event_of, events_after, subjects
from indexer.store.transfers import TransferRow, any_transfers, transfers
from indexer.store.webhooks import DeliveryRow, WebhookRow, deliveries, due, webhooks

T = TypeVar("T")

MOST_KNOWN = 4096
"""So many answers of one state are kept in mind, as often as they are asked for."""


class VenueLook(NamedTuple):
    """A look at the accounts of a venue: the slot of its head, that of its oldest answer, and the Unix time of a block no later.

    `oldest_time` is `None` where no block up to the oldest answer is stored.
    """

    slot: int
    oldest: int
    oldest_time: int | None


class LakeSetRow(NamedTuple):
    """A set of a lake, by its id, and its cut-off in Unix seconds."""

    set_id: str
    cut_at: int


class LakeRevaluationRow(NamedTuple):
    """What made the margin accounts of a lake's set, or the `reason` why there are none; digests are SHA-256 in hex."""

    set_id: str
    revaluation: str | None = None
    book: str | None = None
    engine: str | None = None
    version: str | None = None
    sql: str | None = None
    policy: str | None = None
    methodology: str | None = None
    digest: str | None = None
    reason: str | None = None


class Reader:
    """One consistent state of the store; valid within `Store.reading()`.

    `known`: what was read of this very state before, and what will be, by what was asked: nobody changes what stands there.
    """

    def __init__(self, con: Con, known: dict[Hashable, Any] | None = None) -> None:
        self._con = con
        self._known = known

    def _once(self, asked: Hashable, read: Callable[[], T]) -> T:
        """Read what was not read of this state yet; two threads may both read it, and read the same."""
        if self._known is None:
            return read()
        if asked not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[asked] = found = read()
            return found
        known: T = self._known[asked]
        return known

    def chains(self) -> list[str]:
        """Every chain with a block, by id."""
        return [
            chain_id for (chain_id,) in self._con.execute("SELECT chain_id FROM cursor ORDER BY chain_id").fetchall()
        ]

    def cursor(self, chain_id: str) -> Cursor | None:
        """How far a chain is stored, `None` for a chain without a block."""
        return self._once(("cursor", chain_id), lambda: cursor(self._con, chain_id))

    def block(self, chain_id: str, number: int) -> Block | None:
        """One stored block; a final block without rows is not kept."""
        return self._once(
            ("block", chain_id, number), lambda: next(iter(blocks(self._con, chain_id, number, number)), None)
        )

    def block_at_time(self, chain_id: str, time: int) -> Block | None:
        """The last stored block at or before a Unix time."""
        found = self._con.execute(statement("block_at_time"), {"chain_id": chain_id, "time": time}).fetchall()
        return block_of(found[0]) if found else None

    def block_below(self, chain_id: str, number: int) -> Block | None:
        """The newest stored block at or below a height."""
        return self._once(("block_below", chain_id, number), lambda: self._block_below(chain_id, number))

    def _block_below(self, chain_id: str, number: int) -> Block | None:
        found = self._con.execute(statement("block_below"), {"chain_id": chain_id, "number": number}).fetchall()
        return block_of(found[0]) if found else None

    def block_between(self, chain_id: str, low: int, high: int) -> Block | None:
        """A stored block above `low` and below `high`, with as many of them on either side."""
        values = {"chain_id": chain_id, "low": low, "high": high}
        found = self._con.execute(statement("block_between"), values).fetchall()
        return block_of(found[0]) if found else None

    def logs_gone(self, chain_id: str, interests: Sequence[Interest], read: Tables) -> frozenset[Place]:
        """Stored logs on which rows of interests rest and that nodes did not give when they were asked again."""
        return frozenset(place for i in interests for place in logs_gone(self._con, chain_id, i, read))

    def window(self, chain_id: str) -> list[Block]:
        """The blocks that a reorg can reach, ascending: from the newest final one that is stored to the cursor's."""
        held = self.cursor(chain_id)
        if held is None:
            return []
        values = {"chain_id": chain_id, "finalized": held.finalized}
        return [block_of(row) for row in self._con.execute(statement("window"), values).fetchall()]

    def coverage(self, chain_id: str) -> list[Covered]:
        """Which spans of a chain are complete, and by which proof."""
        return self._once(("coverage", chain_id), lambda: coverage(self._con, chain_id))

    def complete_feeds(self) -> set[tuple[str, str, bytes, bytes | None]]:
        """The feeds of which nothing is missing, see `indexer.store.register.identity`."""
        return self._once(("complete_feeds",), lambda: complete_feeds(self._con))

    def makers(self) -> dict[tuple[str, str], int]:
        """By chain and venue (or `FEEDS`), the version of the derivation that made the rows (`chains.derivations`)."""
        return self._once(("makers",), lambda: makers(self._con))

    def restatements(self, chain_id: str) -> list[Restatement]:
        """What of a chain was restated, in order."""
        return self._once(("restatements", chain_id), lambda: restatements(self._con, chain_id))

    def restated_snapshots(self) -> set[str]:
        """The ids of snapshots that speak of something that was restated after they were made."""
        return restated_snapshots(self._con)

    def starts(self) -> dict[tuple[str, bytes], Start]:
        """Where contracts begin that were looked for, by chain and address."""
        rows = self._con.execute("SELECT chain_id, address, start_block, evidence FROM found_start").fetchall()
        return {(chain_id, address): Start(block, evidence) for chain_id, address, block, evidence in rows}

    def findings(self, chain_id: str) -> list[Finding]:
        """Where stored blocks of a chain are known to be wrong, in order."""
        return self._once(("findings", chain_id), lambda: findings(self._con, chain_id))

    def counts(self, chain_id: str) -> dict[str, int]:
        """How many rows of a chain every raw table of its kind, every journal and the quarantine hold."""
        names = [*(table.name for table in family(chain_id).tables), *(journal.name for journal in DERIVED)]
        ask = {name: statement("counts", table=name) for name in names}
        return {name: self._con.execute(text, {"chain_id": chain_id}).fetchall()[0][0] for name, text in ask.items()}

    def quarantined(self, chain_id: str, at: Block) -> list[Quarantined]:
        """What fitted no column up to a block, in chain order."""
        number = self._as_of(chain_id, at).number
        found = self._con.execute(statement("quarantined"), {"chain_id": chain_id, "number": number}).fetchall()
        return [Quarantined(*row) for row in found]

    def doubtful(self, chain_id: str, at: Block) -> list[str]:
        """The venues (or `FEEDS`) of which something in quarantine may have changed any number up to a block, by id."""
        return self._once(("doubtful", chain_id, at), lambda: self._doubtful(chain_id, at))

    def _doubtful(self, chain_id: str, at: Block) -> list[str]:
        number = self._as_of(chain_id, at).number
        found = self._con.execute(statement("quarantine_doubts"), {"chain_id": chain_id, "number": number}).fetchall()
        return [venue_id for (venue_id,) in found]

    def venue_snapshot(self, venue: VenueSpec, at: Block) -> VenueSnapshot:
        """All that decides a venue's numbers at a block, apart from single units; raises `BlockUnknown`."""
        asked = ("venue_snapshot", venue.id, at)
        found = self._once(asked, lambda: asof.venue_snapshot(self._as_of(venue.chain_id, at), venue, at))
        return found if found.venue == venue else replace(found, venue=venue)

    def unit_snapshots(
        self,
        venue: VenueSpec,
        at: Block,
        *,
        owner: bytes | None = None,
        owners: Sequence[bytes] | None = None,
        units: Sequence[bytes] | None = None,
    ) -> list[UnitSnapshot]:
        """Every unit of a venue at a block, by id; all, one or some owners', or some; raises `BlockUnknown`."""
        held = self._as_of(venue.chain_id, at)
        return asof.unit_snapshots(held, venue.id, owner=owner, owners=owners, units=units)

    def account_bytes(self, chain_id: str, slot: int, addresses: Sequence[bytes]) -> dict[bytes, AccountBytes]:
        """The last bytes of accounts up to a slot, of those that were ever seen."""
        if not addresses:
            return {}
        values = {"chain_id": chain_id, "number": slot}
        with staged(self._con, pa.table({"address": pa.array(addresses, pa.binary())})):
            found = self._con.execute(statement("tip_bytes"), values).fetchall()
        return {address: AccountBytes(*account) for address, *account in found}

    def look(self, chain_id: str, slot: int, venue_id: str) -> VenueLook | None:
        """The last look at the accounts of a venue up to a slot, `None` where none is stored."""
        values = {"chain_id": chain_id, "number": slot, "venue_id": venue_id.encode()}
        found = self._con.execute(statement("look_at"), values).fetchall()
        return VenueLook(*found[0]) if found else None

    def units_behind(self, venue: VenueSpec, at: Block, after: bytes | None, count: int) -> list[bytes]:
        """The next so many units of a venue behind one, by id (`None`: from the first on); raises `BlockUnknown`."""
        return asof.units_behind(self._as_of(venue.chain_id, at), venue.id, after, count)

    def account_events(
        self, owners: Sequence[tuple[str, bytes]], kinds: Sequence[str], before: EventPlace | None, count: int
    ) -> list[AccountEvent]:
        """What owners (chain and address) did, newest first, from a place on."""
        return account_events(self._con, owners, kinds, before, count)

    def api_keys(self) -> list[ApiKeyRow]:
        """Every API key, in the order in which they were made."""
        return api_keys(self._con)

    def events_after(self, after: int, count: int) -> list[EventRow]:
        """At most so many of the events that subscribers are told, behind an id, in order."""
        return events_after(self._con, after, count)

    def event(self, event_id: int) -> EventRow | None:
        """One of them, `None` where it is not kept."""
        return event_of(self._con, event_id)

    def webhooks(self) -> list[WebhookRow]:
        """Every webhook that is not removed, in the order in which they were made."""
        return webhooks(self._con)

    def webhook_due(self, now: int, each: int) -> list[DeliveryRow]:
        """Deliveries whose turn it is at a Unix second, at most `each` of a webhook, and every webhook's first ones first."""
        return due(self._con, now, each)

    def webhook_deliveries(self, webhook_id: str, count: int) -> list[DeliveryRow]:
        """The newest deliveries of a webhook."""
        return deliveries(self._con, webhook_id, count)

    def event_ends(self) -> EventEnds:
        """Between which ids such events are kept."""
        return event_ends(self._con)

    def event_subjects(self) -> dict[str, str]:
        """What was told last of each subject that is not as usual."""
        return subjects(self._con)

    def last_risk_run(self) -> int | None:
        """When the newest run over the whole book was made, in Unix seconds."""
        return risk_runs.last_run(self._con)

    def parity_runs(self) -> list[ParityRun]:
        """The last run of the self-audit over each venue."""
        return controls.newest_runs(self._con)

    def replies(self, look: Look) -> list[Reply] | None:
        """What the contracts of a venue said when it was weighed at a block, `None` where it was not."""
        return controls.replies_of(self._con, look)

    def updates(self, chain_id: str, second: int) -> list[bytes]:
        """The signed updates that were kept of a second, as said."""
        found = self._con.execute(statement("updates_of"), {"chain_id": chain_id, "second": second}).fetchall()
        return [bytes(body) for (body,) in found]

    def weighed_venues(self) -> list[tuple[str, str]]:
        """The venues that were weighed with a snapshot, by chain and id."""
        found = self._con.execute("SELECT DISTINCT chain_id, venue_id FROM control_look ORDER BY ALL").fetchall()
        return [(chain_id, venue_id) for chain_id, venue_id in found if venue_id != controls.PRICES]

    def control_standing(self, chain_id: str, venue_id: str) -> dict[str, dict[str, int]]:
        """How many totals and holdings of a venue stand at each outcome, by table."""
        return {kind.table: controls.standing_of(self._con, kind, chain_id, venue_id) for kind in controls.WEIGHED}

    def records(self, chain_id: str) -> WholeRecords:
        """What is stored as of any block, in this state of the store."""
        return StoredRecords(lambda: nullcontext(self._con), chain_id)

    def control_doubts(self, row: type[Row], chain_id: str, number: int) -> list[Row]:
        """What checks of a kind found wrong that is so at a block."""
        return self._once(
            ("control_doubts", row, chain_id, number), lambda: controls.doubts(self._con, row, chain_id, number)
        )

    def owners(self, venue: VenueSpec, at: Block) -> list[bytes]:
        """Everybody who owns a unit of a venue at a block, even an empty one; raises `BlockUnknown`."""
        return asof.owners(self._as_of(venue.chain_id, at), venue.id)

    def feeds(self, chain_id: str, at: Block) -> Mapping[bytes, str]:
        """The phase of every followed feed at a block: proxy → JSON text; raises `BlockUnknown`."""
        return self._once(("feeds", chain_id, at), lambda: asof.feeds(self._as_of(chain_id, at)))

    def answers(self, chain_id: str, at: Block) -> Mapping[bytes, PriceAnswer]:
        """The last answer of every price source at a block; raises `BlockUnknown`."""
        return self._once(("answers", chain_id, at), lambda: asof.answers(self._as_of(chain_id, at)))

    def recent_answers(
        self, chain_id: str, at: Block, sources: Sequence[bytes], window_s: int
    ) -> Mapping[bytes, tuple[PriceAnswer, ...]]:
        """What price sources said in the seconds before a block, see `indexer.store.asof`; raises `BlockUnknown`."""
        return self._once(
            ("recent_answers", chain_id, at, tuple(sources), window_s),
            lambda: asof.recent_answers(self._as_of(chain_id, at), at, sources, window_s),
        )

    def feed_answer(self, chain_id: str, proxy: bytes, at: Block) -> tuple[str, PriceAnswer | None] | None:
        """The phase of a feed at a block and its source's last answer; `None` if it is not followed; raises `BlockUnknown`."""
        return asof.feed_answer(self._as_of(chain_id, at), proxy)

    def liabilities(
        self,
        venue: VenueSpec,
        keys: Sequence[bytes],
        *,
        until: int = END_OF_TIME,
        owner: bytes | None = None,
        owners: Sequence[bytes] | None = None,
    ) -> list[LiabilityRow]:
        """The newest that was said up to a moment of each account of a venue, of one or of some, and signed by one of `keys`."""
        return newest(self._con, venue, keys, until=until, owners=owners if owner is None else [owner])

    def imported_days(self, identity: str | None = None) -> list[ImportedDay]:
        """What counts of imported price histories, of one identity or of all."""
        return histories.imported_days(self._con, identity)

    def imported_liquidity(self) -> list[ImportedLiquidity]:
        """What counts of what was said of liquidity, by identity and day."""
        return histories.imported_liquidity(self._con)

    def transfers(self, recipients: Collection[str] | None = None) -> list[TransferRow]:
        """What counts of what is or was on its way between chains, to some accounts (CAIP-10) or to all."""
        if not self._once(("transfers",), lambda: any_transfers(self._con)):
            return []
        return transfers(self._con, recipients)

    def newest_import(self) -> int:
        """The number of the last import of prices or liquidity, 0 before the first."""
        return self._once(("newest_import",), lambda: histories.newest_import(self._con))

    def feed_days(self, chain_id: str, at: Block, feeds: Sequence[bytes]) -> list[FeedDay]:
        """What feeds said by UTC days up to a block; raises `BlockUnknown`."""
        return histories.feed_days(self._as_of(chain_id, at), feeds)

    def rate_days(self, chain_id: str, at: Block, sources: Sequence[bytes]) -> list[tuple[bytes, int, float]]:
        """The last rate of each source on each day (days since 1970) up to a block; raises `BlockUnknown`."""
        return histories.rate_days(self._as_of(chain_id, at), sources)

    def policies(self) -> list[PolicyRow]:
        """Every policy of the ledger, in the order in which they were entered."""
        return self._once(("policies",), lambda: policies(self._con))

    def membership_evidence(self) -> list[EvidenceRow]:
        """Every message of a membership, in the order in which they were taken in."""
        return self._once(("membership_evidence",), lambda: evidence(self._con))

    def membership_checks(self) -> list[CheckRow]:
        """Every answer of a contract wallet about its message, by block."""
        return self._once(("membership_checks",), lambda: checks(self._con))

    def lake_set(self) -> LakeSetRow | None:
        """The set of a lake that is held, `None` where chains are indexed or no set was taken over yet."""
        found = self._con.execute("SELECT set_id, cut_at FROM main.lake_set").fetchall()
        return LakeSetRow(*found[0]) if found else None

    def lake_revaluation(self) -> LakeRevaluationRow | None:
        """What engines made of the set that is held, or why there is nothing; `None` until that was looked for."""
        found = self._con.execute("SELECT * FROM main.lake_revaluation").fetchall()
        return LakeRevaluationRow(*found[0]) if found else None

    def load_input(self, digest: str) -> str | None:
        """The document of a digest, if it was kept."""
        return ledger.load_input(self._con, digest)

    def answer_known(self, account_id: str, until: int) -> Answer | None:
        """The last answer about an account up to a moment, `None` where none is kept."""
        return ledger.answer_known(self._con, account_id, until)

    def snapshots(self, schedule: str | None = None) -> list[SnapshotRow]:
        """The ledger in slot order, of one schedule or of all."""
        return ledger.snapshots(self._con, schedule)

    def _as_of(self, chain_id: str, at: Block) -> asof.AsOf:
        held = self._once(("as_of", chain_id, at), lambda: asof.as_of(self._con, chain_id, at))
        return replace(held, con=self._con)
