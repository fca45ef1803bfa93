"""Answers out of a lake: a store of the reader's own that holds one set at a time, and a desk that says which in every document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TypeVar, cast

from aggregator.book import BookInputs
from aggregator.gather import Condition
from aggregator.margin.inputs import Cut
from chains.errors import NodeBusy
from chains.model import Reason
from chains.ports import Chain
from crossmargin.app import policy_of, registry_of
from crossmargin.cuts import Cuts, Scene
from crossmargin.documents import Document, moment
from crossmargin.errors import Busy, NotStored
from crossmargin.liquidation_known import Known
from crossmargin.local_desk import LocalDesk
from crossmargin.policies import moment_of
from crossmargin.revaluations import AT_RISK, STRESS, Premise, premise_of
from crossmargin.revalued import VIEWS, document_of, revaluations_of, rows_of
from crossmargin.settings import LakeSettings, Settings
from crossmargin.settings.sections import LAKE_PERIOD_S, LAKE_STALE_AFTER_S
from crossmargin.starts import stored_in
from crossmargin.stress_documents import Wanted, wanted_of
from crossmargin.watch import Clock
from indexer.lake import Lake, LakeSet, read_set, take
from indexer.publish import Publisher
from indexer.store import LakeRevaluationRow, LakeSetRow, Reader, Store
from indexer.store.session import Con, insert
from indexer.store.statements import statement
from indexer.store.written_views import columns, empty, is_put_away, put_away, written

T = TypeVar("T")

SERVED_FROM = "served_from"
MADE_BY = tuple(name for name in LakeRevaluationRow._fields if name != "set_id")
"""What answers say of the revaluation of their set."""
TRIES = 3
"""How often an answer is made again because a newer set came while it was made."""

UNFILLED = (
    "fct_at_risk",
    "fct_breach_forecast",
    "fct_health_answer",
    "fct_margin_account",
    "fct_margin_mark",
    "fct_margin_position",
    "fct_mark",
    "fct_risk_run",
    "fct_simulated_liquidation",
    "fct_stress",
    "fct_unit_health",
    "snapshot",
)
"""Views of what is made where chains are indexed, and is not in a lake's sets: here they would say that there is nothing, so they are not
here. Those that engines make of a set are here as long as rows of exactly the set that is held are.
"""

ANSWERED = frozenset(
    {
        "ask_sql",
        "list_accounts",
        "list_assets",
        "list_chains",
        "list_feeds",
        "list_policies",
        "list_prices",
        "list_venues",
        "show_account",
        "show_at_risk",
        "show_coverage",
        "show_health",
        "show_healths",
        "show_history",
        "show_policy",
        "show_positions",
        "show_schema",
        "show_status",
        "show_stress",
        "show_what_if",
    }
)
"""The routes that answer out of a lake, besides those of the service itself: what any reader of one set says alike."""


class Following:
    """Keeps a store at the newest set of a lake; `publisher` lets strangers ask SQL of it too."""

    def __init__(self, lake: Lake, store: Store, publisher: Publisher, settings: LakeSettings, clock: Clock) -> None:
        self._lake = lake
        self._store = store
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._held: LakeSet | None = None
        self._stale = False
        self.revalued: Callable[[], bool] = bool
        self._lock = Lock()

    def follow(self) -> LakeSet | None:
        """Take the newest set over and publish it, and return it where it is another one than before; raises `StoreError`.

        What engines made of the set that is held follows it: `revalued` takes that over, and says whether SQL says something else then.
        """
        made = self.take_newest()
        if made is not None:
            self.publish()
        if self.revalued():
            self.publish()
        return made

    def publish(self) -> None:
        """Let strangers ask SQL of what is held, under the names that the configuration registered; raises `StoreError`."""
        self._publisher.publish(self._store, int(self._clock()))

    def take_newest(self) -> LakeSet | None:
        """Take the newest set over, and return it where it is another one than before; raises `StoreError` and `NotStored`.

        What is held stays where the newest set is broken, or older than that.
        """
        with self._lock:
            self._notice_age()
            made = read_set(self._lake.filesystem, self._lake.root)
            if made is None:
                if self._held is None:
                    raise NotStored(f"{self._lake.name}: no set was joined here yet; run `crossmargin lake join`")
                return None
            if self._held is not None and (made.id == self._held.id or made.cut_at < self._held.cut_at):
                return None
            take(self._store, self._lake, made, self._held, besides=_forget)
            self._held = made
            self._notice_age()
            return made

    def _notice_age(self) -> None:
        """Let answers that are kept be made again when the set that is held becomes stale, or is so no more."""
        stale = self._held is not None and is_stale(self._settings, self._held.cut_at, self._clock())
        if stale != self._stale:
            self._stale = stale
            self._store.edition += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What answers are from: the set, and what engines made of it, where that was looked for."""

    of: LakeSetRow
    by: LakeRevaluationRow | None


class LakeDesk(LocalDesk):
    """The desk over such a store: every answer is of the cut-off of its set, and names it."""

    def __init__(self, settings: Settings, lake: LakeSettings, store: Store, *args: object, **options: object) -> None:
        super().__init__(settings, store, *args, **options)  # type: ignore[arg-type]  # as `LocalDesk` takes them
        self._lake = lake
        self._looked: tuple[Premise, tuple[str, ...]] | None = None

    def health(self, account: str, at: str | None) -> Document:
        return self.named(lambda: super(LakeDesk, self).health(account, at))

    def healths(self, accounts: Sequence[str], at: str | None) -> list[Document | Exception]:
        made, found = self._of_one_set(lambda: super(LakeDesk, self).healths(accounts, at))
        return [each if isinstance(each, Exception) else with_set(each, made) for each in found]

    def sql(self, query: str) -> Document:
        return self.named(lambda: super(LakeDesk, self).sql(query))

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
        """Return what an engine made of the very set, where it is what would be computed here; else compute it."""
        wanted = wanted_of(severity, scenarios, shocks, fund_usd, accrue_days)
        found = self._revalued(STRESS, wanted, at)
        return found or super().stress(severity, scenarios, shocks, at, fund_usd=fund_usd, accrue_days=accrue_days)

    def at_risk(self, at: str | None) -> Document:
        """Return what an engine made of the very set, where it is what would be computed here; else compute it."""
        return self._revalued(AT_RISK, None, at) or super().at_risk(at)

    def _revalued(self, table: str, wanted: Wanted | None, at: str | None) -> Document | None:
        lake = Lake.at(self._lake.url)
        if at is not None or not revaluations_of(lake, self._held().of.cut_at):
            return None
        with self._scene(None, self._chains()) as scene:
            return document_of(lake, held_set(scene.reader), self._premise(scene), table, wanted)

    def take_revaluation(self) -> bool:
        """Let SQL have the rows that an engine made of the very set that is held, or say why there are none.

        Returns whether it has others than before. Raises `StoreError`.
        """
        with self._scene(None, self._chains()) as scene:
            made, premise = held_set(scene.reader), self._premise(scene)
            before = scene.reader.lake_revaluation()
        lake = Lake.at(self._lake.url)
        looked = (premise, tuple(revaluations_of(lake, made.cut_at)))
        if looked == self._looked and before is not None:
            return False
        with self._store.exporting() as con:
            shapes = {view: columns(con, view) for view in VIEWS}
        found = rows_of(lake, made, premise, shapes)
        self._looked = looked
        if found.by == before:
            return False
        with self._store.refilling() as con:
            if con.execute("SELECT set_id FROM main.lake_set").fetchall() != [(made.set_id,)]:
                return False
            _forget(con)
            for view, rows in found.rows.items():
                written(con, view, rows)
            insert(con, "lake_revaluation", found.by)
        return True

    def _premise(self, scene: Scene) -> Premise:
        version = self._policies.in_force(scene.reader, moment_of(scene.cuts)).terms.head.version
        return premise_of(scene, held_set(scene.reader).set_id, version)

    def whole(self) -> tuple[BookInputs, Known, Premise]:
        """Return what everybody's accounts are as the set has them, what is known beside them, and what they rest on."""
        with self._scene(None, self._chains()) as scene:
            return self._judge(scene).inputs(), self._known(scene), self._premise(scene)

    def named(self, work: Callable[[], T]) -> T:
        """Return what is made of one set, a document with the name of that set."""
        made, found = self._of_one_set(work)
        return cast("T", with_set(found, made)) if isinstance(found, dict) else found

    def why_not(self, said: str) -> str | None:
        """Why SQL has no such view, where a refusal names one that engines make the rows of; `None` where it is something else."""
        by = self._held().by
        if by is None or by.reason is None or not any(view in said for view in VIEWS):
            return None
        return by.reason

    def _of_one_set(self, work: Callable[[], T]) -> tuple[Held, T]:
        """Make an answer while no newer set or revaluation comes; raises `Busy` where one does every time."""
        for _ in range(TRIES):
            held = self._held()
            found = work()
            if self._held() == held:
                return held, found
        raise Busy("newer sets come faster than this is answered; ask again")

    def _held(self) -> Held:
        with self._store.reading() as reader:
            return Held(of=held_set(reader), by=reader.lake_revaluation())

    def _cuts_in(self, reader: Reader) -> Cuts:
        rules = {chain.spec.id: chain.spec.finality for chain in self._settings.chains}
        return Cuts(self._store, reader, rules, _nobody, cut_at=held_set(reader).cut_at)

    def _condition_in(self, reader: Reader, cuts: Mapping[str, Cut], *, now: bool) -> Condition:
        found = super()._condition_in(reader, cuts, now=now)
        cut_at = held_set(reader).cut_at
        if not now or not is_stale(self._lake, cut_at, self._clock()):
            return found
        why = f"the newest set of the lake is of {moment(cut_at)}"
        return replace(
            found, stale_chains=(*found.stale_chains, *(Reason("lake_stale", each, why) for each in sorted(cuts)))
        )


def begun(settings: Settings, lake: LakeSettings, store: Store, following: Following) -> tuple[Settings, LakeDesk]:
    """Take the newest set over, and return the settings that it makes whole, and the desk over it; raises `StoreError`."""
    policy = policy_of(settings)
    following.take_newest()
    settings = stored_in(settings, store)
    store.register(registry_of(settings))
    return settings, LakeDesk(settings, lake, store, policy)


def with_set(document: Document, held: Held) -> Document:
    """Say in a document which set it is of, and what made the margin accounts of it that SQL has, or why it has none."""
    named = {"lake_set": held.of.set_id, "cut_at": moment(held.of.cut_at), "finality": "finalized"}
    made = {} if held.by is None else {"margin_accounts": {name: getattr(held.by, name) for name in MADE_BY}}
    return {**document, SERVED_FROM: {**document.get(SERVED_FROM, {}), **named, **made}}


def held_set(reader: Reader) -> LakeSetRow:
    """The set that a reader's store holds; raises `NotStored` before the first."""
    found = reader.lake_set()
    if found is None:
        raise NotStored("no set of the lake was read yet; ask again in a moment")
    return found


def is_stale(settings: LakeSettings, cut_at: int, now: float) -> bool:
    """Whether a set is too old for its chains to be believed."""
    return now - cut_at > settings.stale_after_s


def without_unfilled(store: Store) -> None:
    """Let a reader's store not have the views that nothing fills there, or nothing yet."""
    with store.refilling() as con:
        for view in UNFILLED:
            if view in VIEWS:
                put_away(con, view)
            else:
                con.execute(f"DROP VIEW public.{view}")


def _forget(con: Con) -> None:
    """Let go of what engines made of another set."""
    con.execute(statement("empty", table="lake_revaluation"))
    for view in VIEWS:
        if is_put_away(con, view):
            empty(con, view)


def lake_at(settings: Settings, url: str) -> LakeSettings:
    """A lake by its address, with what the configuration says of lakes otherwise."""
    usual = LakeSettings(url=url, period_s=LAKE_PERIOD_S, stale_after_s=LAKE_STALE_AFTER_S, work=settings.store.parent)
    return replace(settings.lake or usual, url=url)


def reader_settings(settings: Settings, lake: LakeSettings, folder: Path) -> Settings:
    """The settings of a reader that keeps what it holds in `folder`, which nobody needs after it."""
    return replace(
        settings,
        lake=lake,
        store=folder / "crossmargin.duckdb",
        backups=folder / "backups",
        publish=replace(settings.publish, folder=folder / "published", schedule=None),
        snapshot=replace(settings.snapshot, folder=folder / "snapshots", schedule=None),
        audit=replace(settings.audit, schedule=None),
    )


def _nobody(chain_id: str) -> Chain:
    raise NodeBusy(f"a reader of a lake asks no node of {chain_id}")
