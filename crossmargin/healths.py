"""Health documents of accounts out of an open store, one or many of one state; what they were computed from is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from aggregator.gather import gather
from aggregator.margin.canonical import to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs, MarginAccount
from aggregator.shared import SharedJournals
from chains.errors import ChainError
from chains.identifiers import parse_account
from crossmargin.accounts import resolve
from crossmargin.answers import Answers
from crossmargin.cuts import Scene
from crossmargin.documents import Document
from crossmargin.errors import DeskError
from crossmargin.memberships import Memberships
from crossmargin.settings import Settings
from crossmargin.watch import Clock
from indexer.store import BlockUnknown, Reader, Store

KEPT_IN_MIND = 10_000

SceneOf = Callable[[Reader, str | None, Collection[str]], Scene]
"""Opens one state of the store at a cut of some chains; raises `DeskError`, `BlockUnknown` and `ChainError`."""

Evaluated = tuple[HealthInputs, HealthDocument]
NoAnswer: TypeAlias = DeskError | BlockUnknown | ChainError
REASONS = (DeskError, BlockUnknown, ChainError)


class Healths:
    """Judges accounts; `scene_of` opens what they are judged by."""

    def __init__(
        self, settings: Settings, store: Store, memberships: Memberships, scene_of: SceneOf, clock: Clock
    ) -> None:
        self._settings = settings
        self._store = store
        self._memberships = memberships
        self._scene_of = scene_of
        self._answers = Answers(clock)
        self._kept: dict[str, None] = {}

    def evaluated(self, name: str, at: str | None) -> Evaluated:
        """Judge one account; raises what stands in `REASONS`."""
        with self._reading(at) as reader:
            account = resolve(self._settings, name)
            chains = self._memberships.chains_by(reader)(account)
            return _judged(reader, self._scene_of(reader, at, chains), account)

    def document(self, name: str, at: str | None) -> Document:
        """Return the health document of one account, and keep it."""
        return self._kept_as_sent([self.evaluated(name, at)], at)[0]

    def documents(self, names: Sequence[str], at: str | None) -> list[Document | NoAnswer]:
        """Return the health documents of several accounts, of one state; of each that has none, why."""
        with self._reading(at) as reader:
            found = self._all(reader, list(dict.fromkeys(names)), at)
        judged = {name: each for name, each in found.items() if not isinstance(each, REASONS)}
        sent = dict(zip(judged, self._kept_as_sent(list(judged.values()), at), strict=True))
        problems = {name: each for name, each in found.items() if isinstance(each, REASONS)}
        return [sent[name] if name in sent else problems[name] for name in names]

    def _reading(self, at: str | None) -> AbstractContextManager[Reader]:
        return self._store.reading_on() if at is None else self._store.reading()

    def _all(self, reader: Reader, names: Sequence[str], at: str | None) -> dict[str, Evaluated | NoAnswer]:
        found: dict[str, Evaluated | NoAnswer] = {}
        chains_of = self._memberships.chains_by(reader)
        together: dict[frozenset[str], dict[str, MarginAccount]] = {}
        for name in names:
            try:
                account = resolve(self._settings, name)
                together.setdefault(frozenset(chains_of(account)), {})[name] = account
            except REASONS as error:
                found[name] = error
        for chains, accounts in together.items():
            found |= self._of_chains(reader, chains, accounts, at)
        return found

    def _of_chains(
        self, reader: Reader, chains: frozenset[str], accounts: Mapping[str, MarginAccount], at: str | None
    ) -> dict[str, Evaluated | NoAnswer]:
        try:
            scene = self._scene_of(reader, at, chains)
        except REASONS as error:
            return dict.fromkeys(accounts, error)
        of_today = {each.id: each for each in scene.catalogue.accounts}
        meant = {name: of_today.get(account.id, account) for name, account in accounts.items()}
        members = [parse_account(member) for account in meant.values() for member in account.members]
        journals = SharedJournals(reader, members)
        return {name: _attempted(journals, scene, account) for name, account in meant.items()}

    def _kept_as_sent(self, judged: Sequence[Evaluated], at: str | None) -> list[Document]:
        """Keep what answers were computed from, and those of now themselves; the same answer, given again, writes nothing."""
        inputs = {
            document.input_digest: (document.account, to_json(inputs))
            for inputs, document in judged
            if document.input_digest not in self._kept
        }
        sent: list[Document] = [document.model_dump(mode="json") for _, document in judged]
        documents = [document for _, document in judged]
        answers = self._answers.new(zip(documents, sent, strict=True)) if at is None else []
        if inputs or answers:
            self._store.save_sent(inputs, answers)
            _remember(self._kept, inputs)
            self._answers.kept(answers)
        return sent


def _judged(journals: Reader | SharedJournals, scene: Scene, account: MarginAccount) -> Evaluated:
    of_today = {each.id: each for each in scene.catalogue.accounts}
    return evaluated(journals, scene, of_today.get(account.id, account))


def _attempted(journals: SharedJournals, scene: Scene, account: MarginAccount) -> Evaluated | NoAnswer:
    try:
        return evaluated(journals, scene, account)
    except REASONS as error:
        return error


def evaluated(journals: Reader | SharedJournals, scene: Scene, account: MarginAccount) -> Evaluated:
    """Gather what decides the health of an account of today, and judge it."""
    inputs = gather(journals, account, scene.cuts, scene.catalogue, scene.condition, risk=scene.risk)
    return inputs, evaluate(inputs)


def _remember(kept: dict[str, None], digests: Iterable[str]) -> None:
    kept.update(dict.fromkeys(digests))
    while len(kept) > KEPT_IN_MIND:
        kept.pop(next(iter(kept)), None)
