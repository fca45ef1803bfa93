"""The desk over an open store: in a command of its own, or in the service."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import time
from typing import Any

from aggregator.book import Book, BookInputs, book_inputs
from aggregator.courtesy import Courtesy
from aggregator.gather import Catalogue, Condition
from aggregator.histories import ChainDays, depth_curves, today_of
from aggregator.live import LiveBook, Version
from aggregator.margin.document import HealthDocument
from aggregator.margin.inputs import Asset, Cut, MarginAccount
from aggregator.margin.policy import Policy
from aggregator.shared import SharedJournals
from aggregator.told import Told, untold
from chains.identifiers import parse_account
from crossmargin.accounts import check_names
from crossmargin.advice_documents import advised, reach_of
from crossmargin.api_keys import ApiKeys
from crossmargin.app import connect
from crossmargin.backups import Backups
from crossmargin.conditions import condition_at
from crossmargin.controls import Controls
from crossmargin.cut import time_of
from crossmargin.cuts import Cuts, Scene
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, NotStored
from crossmargin.estimates import Estimates
from crossmargin.forecast_documents import forecasts
from crossmargin.healths import Healths, evaluated
from crossmargin.imports import Imports
from crossmargin.lag_documents import late
from crossmargin.lakes import LakeParts
from crossmargin.liabilities import Liabilities
from crossmargin.liquidation_asked import Asked
from crossmargin.liquidation_documents import frozen, simulated
from crossmargin.liquidation_known import Known
from crossmargin.memberships import Memberships
from crossmargin.ordering import badness
from crossmargin.parity import ParityAudit
from crossmargin.policies import Policies, moment_of
from crossmargin.policy_history import FileState
from crossmargin.previews import Judge, preview
from crossmargin.price_proofs import PriceProofs
from crossmargin.publishing import Publishing
from crossmargin.quotes import quotes
from crossmargin.recalled import POSITIONS
from crossmargin.recommendations import recommend
from crossmargin.risk_documents import haircuts, history_list, history_of_identity
from crossmargin.risk_runs import Judged, RiskRuns
from crossmargin.rows import rows_document
from crossmargin.settings import Settings
from crossmargin.shortages import weighed
from crossmargin.snapshots import Snapshots
from crossmargin.sql.answers import TEXT, Answer, Form
from crossmargin.sql.formats import table_answer, text_answer
from crossmargin.sql.schema import ASKED, MACROS, schema_document
from crossmargin.standing import standing
from crossmargin.stress_documents import risked, stressed, wanted_of
from crossmargin.transfers import Transfers
from crossmargin.watch import Clock, Watch
from crossmargin.webhooks.register import Webhooks, wanted_in
from crossmargin.webhooks.signing import SecretFolder
from crossmargin.what_if import what_if
from indexer.store import Reader, Store

SQL_TIMEOUT_S = 60.0
SQL_ROWS = 100_000
SQL_BYTES = 1 << 30


class LocalDesk:
    """See `Desk`. With a `watch`, chains that cannot be followed are not believed; `told`: who waits for what takes long."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        policy: Policy,
        *,
        watch: Watch | None = None,
        clock: Clock = time,
        told: Told = untold,
    ) -> None:
        self._settings = settings
        self._store = store
        self._watch = watch
        self._clock = clock
        self._told = told
        self.catalogue = catalogue_of(settings, policy)
        self.courtesy = Courtesy()
        self.live = LiveBook(courtesy=self.courtesy)
        self._estimates = Estimates()
        self._risk = RiskRuns(store, settings.risk, clock)
        self._imports = Imports(self.catalogue, store, clock)
        self._transfers = Transfers(store, clock, settings.trust)
        self._policies = Policies(settings, store, clock)
        self._memberships = Memberships(settings, store, partial(connect, settings), clock)
        self._healths = Healths(settings, store, self._memberships, self._scene_of, clock)
        asked = partial(connect, settings)
        elsewhere = frozenset(chain.spec.id for chain in settings.chains if chain.indexer is not None)
        controls = Controls(store, asked, clock, proofs=settings.snapshot.proofs, elsewhere=elsewhere)
        prices = PriceProofs(store, asked, clock, count=settings.snapshot.proofs, elsewhere=elsewhere)
        self._snapshots = Snapshots(settings.snapshot, store, clock, controls, prices)
        self._backups = Backups(settings.backups, store, clock)
        self._liabilities = Liabilities(settings.venues, store, clock)
        self._publishing = Publishing(settings.publish, store, clock)
        self._parts = LakeParts(settings, store)
        self.keys = ApiKeys(store, clock)
        secrets = SecretFolder(settings.webhook_secrets)
        self.webhook_register = Webhooks(store, secrets, clock, loopback=settings.webhooks.loopback)
        self._parity = ParityAudit(settings, store, partial(connect, settings), clock)

    @property
    def store(self) -> Store:
        """The store that it answers from."""
        return self._store

    def health(self, account: str, at: str | None) -> Document:
        return self._healths.document(account, at)

    def healths(self, accounts: Sequence[str], at: str | None) -> list[Document | Exception]:
        """Return the health documents of several accounts, of one state; of each that has none, why."""
        return [*self._healths.documents(accounts, at)]

    def positions(self, account: str, at: str | None) -> Document:
        _, document = self._healths.evaluated(account, at)
        whole = document.model_dump(mode="json")
        return {key: whole[key] for key in POSITIONS}

    def accounts(self) -> Document:
        with self._scene(None, self._chains()) as scene:
            members = [parse_account(member) for account in scene.catalogue.accounts for member in account.members]
            journals = SharedJournals(scene.reader, members)
            found = [evaluated(journals, scene, account)[1] for account in scene.catalogue.accounts]
        return {"accounts": sorted(map(_in_short, found), key=badness), "next": None}

    def account(self, account: str) -> Document:
        _, document = self._healths.evaluated(account, None)
        with self._store.reading() as reader:
            evidence = self._memberships.evidence(reader, document.account)
        return _in_short(document) | {
            "evidence": evidence,
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
            return quotes(scene)

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
        return rows_document(self._store.query(query, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS, public=True))

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        if form in TEXT:
            result = self._store.query(query, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS, public=True)
            return text_answer(result, form, formulas=formulas, most_bytes=SQL_BYTES)
        table = self._store.query_table(query, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS, public=True)
        return table_answer(table, form, most_bytes=SQL_BYTES)

    def schema(self) -> Document:
        asked = (self._store.query(text, timeout_s=SQL_TIMEOUT_S, max_rows=SQL_ROWS).rows for text in (ASKED, MACROS))
        return schema_document(*asked)

    def publish(self) -> Document:
        return self._publishing.publish()

    def publish_parts(self) -> Document:
        return self._parts.publish(self._told)

    def publish_due(self) -> Document | None:
        """Publish what is final where a slot of the schedule has come since it was published last; `None` where none has."""
        return self._publishing.publish_due()

    def inputs(self, digest: str) -> str:
        kept = self._store.load_input(digest)
        if kept is None:
            raise NoSuchThing(f'no inputs are kept under "{digest}"; the input_digest of a health document names them')
        return kept

    def snapshots(self) -> Document:
        return self._snapshots.listing()

    def create_snapshot(self, at: str | None) -> Document:
        with self._snapshot_scene(at, self._chains()) as scene:
            if not scene.cuts:
                raise NotStored("nothing is indexed at that time, so there is nothing to snapshot; index first")
            return self._snapshots.create(scene, self._told)

    def back_up(self, name: str | None, keep: int | None) -> Document:
        return self._backups.make(name, keep)

    def liabilities(self, venue: str | None) -> Document:
        with self._store.reading() as reader:
            return self._liabilities.listing(reader, venue)

    def import_liabilities(self, envelope: str) -> Document:
        return self._liabilities.take_in(envelope)

    def price_histories(self, identity: str | None) -> Document:
        with self._scene(None, ()) as scene:
            chains = self._days(scene)
            if identity is None:
                return history_list(scene.reader, chains, self.catalogue)
            return history_of_identity(scene.reader, chains, identity)

    def import_prices(self, history: Document) -> Document:
        return self._imports.take_prices(history)

    def liquidity(self) -> Document:
        with self._store.reading() as reader:
            return self._imports.liquidity(reader)

    def import_liquidity(self, said: Document) -> Document:
        return self._imports.take_liquidity(said)

    def transfers(self) -> Document:
        with self._store.reading() as reader:
            return self._transfers.listing(reader)

    def import_transfers(self, said: Document) -> Document:
        return self._transfers.take_in(said)

    def haircuts(self, value_usd: float, at: str | None) -> Document:
        with self._scene(at, ()) as scene:
            return haircuts(scene, self._days(scene), self.catalogue, value_usd)

    def stress(
        self,
        severity: str,
        scenarios: Sequence[str],
        shocks: Sequence[str],
        at: str | None,
        *,
        fund_usd: float | None,
        accrue_days: int = 0,
    ) -> Document:
        wanted = wanted_of(severity, scenarios, shocks, fund_usd, accrue_days)
        book, known = self.book_and_known(at)
        return stressed(book, wanted, known.series, self._told)

    def at_risk(self, at: str | None) -> Document:
        return risked(self._book(at))

    def liquidations(self, asked: Asked, at: str | None) -> Document:
        book, known = self.book_and_known(at)
        return simulated(book, asked, known, self._told)

    def freeze(self, asked: Asked, at: str | None) -> Document:
        book, known = self.book_and_known(at)
        return frozen(book, asked, known, self._told)

    def lag(self, asked: Asked, at: str | None) -> Document:
        book, known = self.book_and_known(at)
        return late(book, asked, known, self._told)

    def forecasts(self, at: str | None, *, top: int, seed: int) -> Document:
        book, known = self.book_and_known(at)
        return forecasts(book, known.series, top=top, seed=seed)

    def run_risk(self) -> Document:
        return self._risk.run(self._judged, self._told)

    def run_due_risk(self) -> Document | None:
        """Take the book through everything where that is due; `None` where it is not."""
        return self._risk.run(self._judged) if self._risk.is_due() else None

    def _judged(self) -> Judged:
        with self._scene(None, self._chains()) as scene:
            return Judged(
                book=self._judge(scene).as_it_is(),
                known=self._known(scene),
                policy=self._policies.in_force(scene.reader, moment_of(scene.cuts)).terms.head.version,
            )

    def recommend_haircuts(self) -> Document:
        with self._scene(None, self._chains()) as scene:
            judge = self._judge(scene)
            series = self._estimates.series(scene.reader, scene.cuts, self.catalogue)
            return recommend(judge, self._policies.history(scene.reader), series, int(self._clock()))

    def what_if(self, account: str, actions: Sequence[str], shocks: Sequence[str], at: str | None) -> Document:
        inputs, document = self._healths.evaluated(account, at)
        return what_if(inputs, document, actions, shocks, reach_of(self._settings.rebalancing))

    def advise(self, account: str, usd: float | None, at: str | None) -> Document:
        inputs, document = self._healths.evaluated(account, at)
        return advised(inputs, document, usd, self._settings.rebalancing)

    def _book(self, at: str | None) -> Book:
        with self._scene(at, self._chains()) as scene:
            return self._judge(scene).as_it_is()

    def book_and_known(self, at: str | None) -> tuple[Book, Known]:
        """Return everybody's accounts at a cut, and what is known beside them."""
        with self._scene(at, self._chains()) as scene:
            return self._judge(scene).as_it_is(), self._known(scene)

    def inputs_and_known(self, at: str | None) -> tuple[BookInputs, Known]:
        """Return what decides everybody's accounts at a cut, and what is known beside them."""
        with self._scene(at, self._chains()) as scene:
            return self._judge(scene).inputs(), self._known(scene)

    def _judge(self, scene: Scene) -> Judge:
        held = None if self.live.version is None else self.live.version.book
        return Judge(scene=scene, estimates=self._estimates, held=held, told=self._told)

    def _known(self, scene: Scene) -> Known:
        today = today_of(scene.cuts)
        told = scene.reader.imported_liquidity()
        return Known(
            series=self._estimates.series(scene.reader, scene.cuts, self.catalogue),
            curves={} if today is None else depth_curves(told, today),
        )

    def _days(self, scene: Scene) -> list[ChainDays]:
        cuts = sorted(scene.cuts.items())
        return [self._estimates.days(scene.reader, chain_id, cut, self.catalogue) for chain_id, cut in cuts]

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        return self._audited(self._parity.run(venue=venue, sample=sample, at=at))

    def audit_due_parity(self) -> Document | None:
        """Compare the units whose turn it is with their venues' contracts, where it is due; `None` where it is not."""
        done = self._parity.run_due(self._watch)
        return None if done is None else self._audited(done)

    def _audited(self, audited: Document) -> Document:
        """Say how grave what an audit found missing is."""
        if not audited["shortfalls"]:
            return audited
        with self._scene(None, self._chains()) as scene:
            return {**audited, "shortfalls": self._weighed(scene, audited["shortfalls"])}

    def _weighed(self, scene: Scene, shortages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return weighed(shortages, scene)

    def link(self, account: str, envelope: str, *, who: str) -> Document:
        return self._memberships.take_in(account, envelope, who=who)

    def revoke(self, account: str, wallet: str, *, note: str, who: str) -> Document:
        return self._memberships.revoke(account, wallet, note=note, who=who)

    def check_due_memberships(self) -> None:
        """Ask contract wallets again whose turn it is; raises `ChainError` where one could not be asked."""
        self._memberships.check_due()

    def begin_policy(self, *, accept: bool, writes: bool = True) -> FileState:
        """Let the configured policy be that of the store, or refuse it; returns what it is to the store's ledger."""
        if writes:
            return self._policies.begin(accept=accept)
        with self._store.reading() as reader:
            return self._policies.check(reader)

    def policy(self, at: str | None) -> Document:
        with self._store.reading() as reader:
            return self._policies.shown(reader, int(self._clock()) if at is None else time_of(at))

    def policies(self) -> Document:
        with self._store.reading() as reader:
            return self._policies.listing(reader)

    def preview_policy(self, text: str) -> Document:
        terms = self._policies.read(text)
        with self._scene(None, self._chains()) as scene:
            judge = self._judge(scene)
            return preview(judge, self._policies.history(scene.reader), terms, int(self._clock()))

    def schedule_policy(self, text: str, *, emergency: bool, who: str) -> Document:
        return self._policies.schedule(text, emergency=emergency, who=who)

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document:
        return self.keys.create(name, scopes, quota=quota, expires_in_s=expires_in_s, who=who)

    def api_keys(self) -> Document:
        return self.keys.listing()

    def revoke_api_key(self, key_id: str) -> Document:
        return self.keys.revoke(key_id)

    def add_webhook(self, url: str, wanted: Document, *, who: str) -> Document:
        wanted_in(wanted)
        check_names(self._settings, wanted)
        return self.webhook_register.add(url, wanted, who=who)

    def webhooks(self) -> Document:
        return self.webhook_register.listing()

    def remove_webhook(self, webhook_id: str) -> Document:
        return self.webhook_register.remove(webhook_id)

    def test_webhook(self, webhook_id: str) -> Document:
        return self.webhook_register.try_out(webhook_id)

    def webhook_log(self, webhook_id: str) -> Document:
        return self.webhook_register.log(webhook_id)

    def withdraw_policy(self, version: str, *, note: str, emergency: bool, who: str) -> Document:
        return self._policies.withdraw(version, note=note, emergency=emergency, who=who)

    def take_book(self) -> Version:
        """Bring the book in memory (`live`) up to the tip of what is stored, and return its newest version."""
        with self._scene(None, self._chains()) as scene:
            inputs = book_inputs(scene.reader, scene.cuts, scene.catalogue, scene.condition, risk=scene.risk)
        return self.live.take(inputs)

    def make_due_snapshots(self) -> None:
        """Make every scheduled snapshot that is due."""
        self._snapshots.make_due(lambda time: self._snapshot_scene(f"@{time}", ()), self._watch)

    @contextmanager
    def _scene(self, at: str | None, chains: Collection[str], *, settled: bool = False) -> Iterator[Scene]:
        """Open the store at a cut; who belongs to an account is a question of now, unless it is of the past or to be `settled`."""
        with self._store.reading() as reader:
            yield self._scene_of(reader, at, chains, settled=settled)

    def _scene_of(self, reader: Reader, at: str | None, chains: Collection[str], *, settled: bool = False) -> Scene:
        cuts = self._cuts(reader, at, chains)
        catalogue, policy = self._policies.over(self.catalogue, reader, cuts)
        time = moment_of(cuts) if settled or at is not None else max(moment_of(cuts), int(self._clock()))
        condition = self._condition_in(reader, cuts, now=at is None)
        return Scene(
            reader=reader,
            cuts=cuts,
            condition=condition,
            catalogue=replace(catalogue, accounts=self._memberships.accounts(reader, time)),
            floor=policy.terms.floor,
            risk=self._estimates.at(reader, cuts, catalogue, condition),
        )

    @contextmanager
    def _snapshot_scene(self, at: str | None, chains: Collection[str]) -> Iterator[Scene]:
        """Ask contract wallets at the very blocks, and open the store there."""
        with self._store.reading() as reader:
            cuts = self._cuts(reader, at, chains)
        self._memberships.check_at(cuts)
        with self._scene(at, chains, settled=True) as scene:
            yield scene

    def _cuts(self, reader: Reader, at: str | None, chains: Collection[str]) -> dict[str, Cut]:
        return self._cuts_in(reader).at(at, chains)

    def _cuts_in(self, reader: Reader) -> Cuts:
        rules = {chain.spec.id: chain.spec.finality for chain in self._settings.chains}
        return Cuts(self._store, reader, rules, partial(connect, self._settings))

    def _condition_in(self, reader: Reader, cuts: Mapping[str, Cut], *, now: bool) -> Condition:
        """Whether nodes can be believed is a question of now; whether a chain stood still is told by what is stored."""
        return condition_at(reader, cuts, self.catalogue, self._settings.chains, self._watch if now else None)

    def _chains(self) -> list[str]:
        return [chain.spec.id for chain in self._settings.chains]


def catalogue_of(settings: Settings, policy: Policy) -> Catalogue:
    """What the configuration names, as the aggregator takes it."""
    return Catalogue(
        venues=settings.venues,
        feeds=settings.feeds,
        assets=tuple(
            Asset(
                id=asset.id,
                symbol=asset.symbol,
                asset_class=asset.asset_class,
                same_as=asset.same_as,
                bridge=asset.bridge,
                issuer=asset.issuer,
            )
            for asset in settings.assets
        ),
        policy=policy,
        accounts=tuple(MarginAccount(id=account.id, members=account.members) for account in settings.accounts),
    )


def _in_short(document: HealthDocument) -> dict[str, Any]:
    return {
        "account": document.account,
        "members": list(document.members),
        "membership": document.model_dump(mode="json", include={"membership"})["membership"],
        "status": document.status.value,
        "health_factor": document.health_factor,
        "min_unit_health_factor": document.min_unit_health_factor,
        "score": document.score,
        "collateral_usd": document.collateral.raw,
        "debt_usd": document.debt.raw,
    }
