"""The desk over an open store: in a command of its own, or in the service."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import time
from typing import Any

from aggregator.gather import Catalogue, Condition, gather
from aggregator.margin.canonical import to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Asset, Cut, HealthInputs, MarginAccount
from aggregator.margin.policy import Policy
from chains.identifiers import parse_account
from chains.model import FEEDS, Reason, VenueSpec
from chains.registry import is_observed, venue_doubts
from crossmargin.accounts import resolve
from crossmargin.app import connect, floor_of
from crossmargin.controls import Controls
from crossmargin.cuts import Cuts, Scene
from crossmargin.documents import Document
from crossmargin.doubts import doubted_units, doubted_venues, shortfalls
from crossmargin.errors import NoSuchThing, NotStored
from crossmargin.liabilities import Liabilities
from crossmargin.outdated import outdated
from crossmargin.parity import ParityAudit
from crossmargin.quotes import quotes
from crossmargin.rows import rows_document
from crossmargin.settings import Settings
from crossmargin.shortages import weighed
from crossmargin.snapshots import Snapshots
from crossmargin.standing import standing
from crossmargin.watch import Clock, Watch
from indexer.spans import gap, gap_of
from indexer.store import Reader, Store

SQL_TIMEOUT_S = 60.0
SQL_ROWS = 100_000
KEPT_IN_MIND = 10_000
QUARANTINE = "rows_quarantined"
FILLING = "venue_filling"
CONTRADICTED = "logs_contradicted"


class LocalDesk:
    """See `Desk`. With a `watch`, chains that cannot be followed are not believed."""

    def __init__(
        self, settings: Settings, store: Store, policy: Policy, *, watch: Watch | None = None, clock: Clock = time
    ) -> None:
        self._settings = settings
        self._store = store
        self._watch = watch
        self._clock = clock
        self.catalogue = catalogue_of(settings, policy)
        self._kept: dict[str, None] = {}
        controls = Controls(store, partial(connect, settings), clock)
        self._snapshots = Snapshots(settings.snapshot, store, clock, controls)
        self._liabilities = Liabilities(settings.venues, store, clock)
        self._parity = ParityAudit(settings, store, partial(connect, settings), clock)

    def health(self, account: str, at: str | None) -> Document:
        inputs, document = self._health(resolve(self._settings, account), at)
        self._keep(document, inputs)
        return document.model_dump(mode="json")

    def positions(self, account: str, at: str | None) -> Document:
        _, document = self._health(resolve(self._settings, account), at)
        whole = document.model_dump(mode="json")
        kept = ("account", "members", "as_of", "status", "venues", "completeness", "reasons")
        return {key: whole[key] for key in kept}

    def accounts(self) -> Document:
        with self._scene(None, self._chains()) as scene:
            found = [self._evaluated(scene, account)[1] for account in self.catalogue.accounts]
        return {"accounts": [_in_short(document) for document in found]}

    def account(self, account: str) -> Document:
        _, document = self._health(resolve(self._settings, account), None)
        return _in_short(document) | {
            "as_of": document.model_dump(mode="json")["as_of"],
            "units": [
                {
                    "venue": venue.venue,
                    "protocol": venue.protocol,
                    "chain": venue.chain,
                    "unit_id": unit.unit_id,
                    "owner": unit.owner,
                    "status": unit.status.value,
                    "positions": len(unit.positions),
                }
                for venue in document.venues
                for unit in venue.units
            ],
        }

    def prices(self, at: str | None) -> Document:
        with self._scene(at, self._chains()) as scene:
            return quotes(scene.reader, scene.cuts, self.catalogue, scene.condition)

    def status(self) -> Document:
        with self._store.reading() as reader:
            found = standing(self._settings, reader, self._watch, self._clock())
        short = [venue for chain in found["chains"] for venue in chain["audited"] if venue["shortfalls"]]
        if short:
            with self._scene(None, self._chains()) as scene:
                for venue in short:
                    venue["shortfalls"] = self._weighed(scene, venue["shortfalls"])
        return found

    def sql(self, query: str) -> Document:
        return rows_document(self._store.query(query, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS))

    def inputs(self, digest: str) -> str:
        kept = self._store.load_input(digest)
        if kept is None:
            raise NoSuchThing(f'no inputs are kept under "{digest}"; the input_digest of a health document names them')
        return kept

    def snapshots(self) -> Document:
        return self._snapshots.listing()

    def create_snapshot(self, at: str | None) -> Document:
        with self._scene(at, self._chains()) as scene:
            if not scene.cuts:
                raise NotStored("nothing is indexed at that time, so there is nothing to snapshot; index first")
            return self._snapshots.create(scene.reader, scene.cuts, self.catalogue, scene.condition)

    def liabilities(self, venue: str | None) -> Document:
        with self._store.reading() as reader:
            return self._liabilities.listing(reader, venue)

    def import_liabilities(self, envelope: str) -> Document:
        return self._liabilities.take_in(envelope)

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        return self._told(self._parity.run(venue=venue, sample=sample, at=at))

    def audit_due_parity(self) -> Document | None:
        """Compare the units whose turn it is with their venues' contracts, where it is due; `None` where it is not."""
        done = self._parity.run_due(self._watch)
        return None if done is None else self._told(done)

    def _told(self, audited: Document) -> Document:
        """Say how grave what an audit found missing is."""
        if not audited["shortfalls"]:
            return audited
        with self._scene(None, self._chains()) as scene:
            return {**audited, "shortfalls": self._weighed(scene, audited["shortfalls"])}

    def _weighed(self, scene: Scene, shortages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        floor = floor_of(self._settings)
        return weighed(shortages, scene, self.catalogue, floor)

    def make_due_snapshots(self) -> None:
        """Make every scheduled snapshot that is due."""
        self._snapshots.make_due(lambda time: self._scene(f"@{time}", ()), self.catalogue, self._watch)

    def _keep(self, document: HealthDocument, inputs: HealthInputs) -> None:
        """Keep what an answer was computed from; the same answer, given again, writes nothing."""
        digest = document.input_digest
        if digest in self._kept:
            return
        self._store.save_input(digest, document.account, to_json(inputs))
        self._kept[digest] = None
        while len(self._kept) > KEPT_IN_MIND:
            self._kept.pop(next(iter(self._kept)), None)

    def _health(self, account: MarginAccount, at: str | None) -> tuple[HealthInputs, HealthDocument]:
        chains = {parse_account(member).chain_id for member in account.members}
        with self._scene(at, chains) as scene:
            return self._evaluated(scene, account)

    def _evaluated(self, scene: Scene, account: MarginAccount) -> tuple[HealthInputs, HealthDocument]:
        inputs = gather(scene.reader, account, scene.cuts, self.catalogue, scene.condition)
        return inputs, evaluate(inputs)

    @contextmanager
    def _scene(self, at: str | None, chains: Collection[str]) -> Iterator[Scene]:
        rules = {chain.spec.id: chain.spec.finality for chain in self._settings.chains}
        with self._store.reading() as reader:
            cuts = Cuts(self._store, reader, rules, partial(connect, self._settings)).at(at, chains)
            yield Scene(reader=reader, cuts=cuts, condition=self._condition(reader, cuts, now=at is None))

    def _condition(self, reader: Reader, cuts: Mapping[str, Cut], *, now: bool) -> Condition:
        """Whether a chain can be believed is a question of now; an answer as of the past rests on what is stored."""
        stale: tuple[Reason, ...] = ()
        if now and self._watch is not None:
            stale = self._watch.doubts({chain_id: cut.block for chain_id, cut in cuts.items()})
        numbers = {chain_id: cut.block.number for chain_id, cut in cuts.items()}
        gaps = (
            *_quarantined(reader, cuts),
            *_incomplete(self.catalogue.venues, reader, cuts),
            *_contradicted(reader, cuts),
            *doubted_venues(reader, numbers),
            *(
                each.reason
                for each in outdated(reader, self.catalogue.venues, self.catalogue.feeds)
                if each.chain_id in cuts
            ),
        )
        return Condition(
            stale_chains=stale,
            gaps=gaps,
            units=doubted_units(reader, numbers),
            shortfalls=shortfalls(reader, numbers),
        )

    def _chains(self) -> list[str]:
        return [chain.spec.id for chain in self._settings.chains]


def catalogue_of(settings: Settings, policy: Policy) -> Catalogue:
    """What the configuration names, as the aggregator takes it."""
    return Catalogue(
        venues=settings.venues,
        feeds=settings.feeds,
        assets=tuple(
            Asset(id=asset.id, symbol=asset.symbol, asset_class=asset.asset_class, same_as=asset.same_as)
            for asset in settings.assets
        ),
        policy=policy,
        accounts=tuple(MarginAccount(id=account.id, members=account.members) for account in settings.accounts),
    )


def _quarantined(reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A row that fitted nowhere may have changed any number of its venue, or of a feed any price of its chain."""
    for chain_id, cut in cuts.items():
        for venue_id in reader.doubtful(chain_id, cut.block):
            subject = chain_id if venue_id == FEEDS else venue_id
            yield Reason(QUARANTINE, subject, f"{chain_id} said something that could not be understood; see quarantine")


def _incomplete(venues: Collection[VenueSpec], reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A venue of which blocks up to the cut are missing may hold any debt of anybody."""
    for chain_id, cut in cuts.items():
        spans = reader.coverage(chain_id)
        for venue in venues:
            if venue.chain_id != chain_id:
                continue
            if is_observed(venue.protocol):
                if gap(spans, (venue.id,), cut.block.number, cut.block.number) is not None:
                    yield Reason(
                        FILLING, venue.id, "its accounts were not read at this block; they are with each new head"
                    )
                yield from venue_doubts(reader.venue_snapshot(venue, cut.block))
            elif (first := gap_of(spans, venue, cut.block.number)) is not None:
                detail = f"blocks from {first} on are missing of it; `crossmargin index` or `run` fills them in"
                yield Reason(FILLING, venue.id, detail)


def _contradicted(reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A log that is known to be missing, or not to be there, may have changed any number of its venue, or of a feed any price."""
    for chain_id, cut in cuts.items():
        wrong = {finding.interest for finding in reader.findings(chain_id) if finding.block <= cut.block.number}
        for interest in sorted(wrong):
            subject = chain_id if interest == FEEDS else interest.removeprefix("venue:")
            detail = (
                "what is stored is known to be wrong; `crossmargin status` says where, `crossmargin restate` mends it"
            )
            yield Reason(CONTRADICTED, subject, detail)


def _in_short(document: HealthDocument) -> dict[str, Any]:
    return {
        "account": document.account,
        "members": list(document.members),
        "status": document.status.value,
        "health_factor": document.health_factor,
        "min_unit_health_factor": document.min_unit_health_factor,
        "score": document.score,
        "collateral_usd": document.collateral.raw,
        "debt_usd": document.debt.raw,
    }
