"""What a policy would do to the book, as a document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from aggregator.book import Book, BookInputs, BookRow, book_inputs, judged, row
from aggregator.governance.changes import changes
from aggregator.governance.preview import Moved, Preview, Sums, compare
from aggregator.governance.terms import Terms
from aggregator.margin.numbers import text
from aggregator.margin.status import Status
from aggregator.told import Told, untold
from crossmargin.cuts import Scene
from crossmargin.documents import Document
from crossmargin.estimates import Estimates
from crossmargin.policies import change_of, described, under
from crossmargin.policy_history import Entry, History
from crossmargin.stress_documents import as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges everybody at a scene's cut by any policy; `held`: a book in memory, of which is kept what is the same;
    `told`: who waits for it.
    """

    scene: Scene
    estimates: Estimates
    held: Book | None = None
    told: Told = untold

    def inputs(self) -> BookInputs:
        """Return what decides the book under the policy of the scene."""
        scene = self.scene
        return book_inputs(scene.reader, scene.cuts, scene.catalogue, scene.condition, risk=scene.risk)

    def as_it_is(self) -> Book:
        """Return the book under the policy of the scene."""
        return judged(self.inputs(), self.held, told=self.told)

    def under(self, entry: Entry, before: Book | None = None) -> Book:
        """Return the book under a policy, estimates included; `before`: the same scene under another one."""
        scene, catalogue = self.scene, under(self.scene.catalogue, entry)
        risk = self.estimates.at(scene.reader, scene.cuts, catalogue, scene.condition)
        if before is not None:
            return judged(replace(before.inputs, catalogue=catalogue, risk=risk), before, told=self.told)
        inputs = book_inputs(scene.reader, scene.cuts, catalogue, scene.condition, risk=risk)
        return judged(inputs, self.held, told=self.told)


def preview(judge: Judge, history: History, terms: Terms, now: int) -> Document:
    """Judge every account at the scene's cut by a policy, and by the one that would be in force without it.

    Each by what is estimated under it. Raises `StoreError`, and `PolicyError` where an asset's class is missing.
    """
    since = terms.head.effective_from or now
    current = history.at(since)
    before = judge.under(current)
    after = judge.under(Entry(terms=terms, effective_from=since), before)
    found = compare(map(row, before.accounts), map(row, after.accounts))
    changed = changes(current.terms, terms)
    return {
        "policy": described(terms),
        "against": described(current.terms),
        "as_of": as_of(before),
        "changes": [change_of(change) for change in changed],
        "tightens": any(change.tightens for change in changed),
        "accounts": len(found.accounts),
        "statuses": _statuses(found),
        "moves": [
            {"from": old.value, "to": new.value, "accounts": count}
            for (old, new), count in sorted(found.other_status.items())
        ],
        "newly_below": [_moved(moved) for moved in found.newly_below],
        "at_stake": _sums(found.at_stake),
        "changed": [_moved(moved) for moved in found.accounts if moved.changes_status],
    }


def _statuses(found: Preview) -> dict[str, Any]:
    before, after = found.before, found.after
    return {status.value: {"before": _sums(before[status]), "after": _sums(after[status])} for status in Status}


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "accounts": sums.accounts,
        "collateral_usd": text(sums.collateral_usd),
        "debt_usd": text(sums.debt_usd),
        "debt_unknown": sums.debt_unknown,
    }


def _moved(moved: Moved) -> dict[str, Any]:
    return {"account": moved.after.account, "before": _row(moved.before), "after": _row(moved.after)}


def _row(account: BookRow) -> dict[str, Any]:
    written = {
        "health_factor": account.health_factor,
        "min_unit_health_factor": account.min_unit_health_factor,
        "collateral_usd": account.has_usd,
        "debt_usd": account.owes_usd,
    }
    numbers = {key: None if value is None else text(value) for key, value in written.items()}
    return {"status": account.status.value, "score": account.score} | numbers
