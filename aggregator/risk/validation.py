"""Every haircut model on every asset, and on what portfolios of them would have lost: all that is asked of a model, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from aggregator.risk.backtest import Backtest, backtest
from aggregator.risk.coverage import Light
from aggregator.risk.durations import duration_p
from aggregator.risk.history import BadHistory, Floats, History
from aggregator.risk.models import MODELS, WINDOW, fall
from aggregator.risk.shortfall import Shortfall, shortfall
from aggregator.told import Told, each_told, untold

SIGNIFICANCE = 0.05
SHORTFALL_OF = "fhs"
"""The one model that announces how far it goes beyond."""

JUDGED = "published"
"""What accounts are held to; a pack holds where it does."""

LOOKED_BACK = (250, 500)
"""Days of the shorter looks, beside all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """Breaches of the last `days` days."""

    days: int
    breaches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One model on one subject; `duration_p`: `None` with too few breaches, `shortfall`: of `SHORTFALL_OF` alone.

    `peak_to_trough`: the highest haircut over the lowest; `mean_beyond`: how far a day went beyond the haircut, of those that did.
    """

    subject: str
    test: Backtest
    duration_p: float | None
    shortfall: Shortfall | None
    peak_to_trough: float
    mean_beyond: float
    recent: tuple[Recent, ...]

    @property
    def holds(self) -> bool:
        """Whether breaches are not too many, lately or at all."""
        return self.test.coverage.holds(SIGNIFICANCE) and self.test.coverage.light is not Light.RED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """Falls and haircuts of one model on one subject, day by day, from `WINDOW` days after the first on."""

    subject: str
    model: str
    history: History
    falls: Floats
    haircuts: Floats


def subjects(histories: Sequence[History]) -> tuple[History, ...]:
    """Return the assets, all of them together in equal parts, and each against each: held one, owed the other.

    Portfolios have the days that all, or both, have. Raises `BadHistory` for an asset that is given twice.
    """
    names = [one.asset for one in histories]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadHistory(f"{', '.join(twice)}: given more than once; give each asset one file")
    return (*histories, *_portfolios(histories))


def _portfolios(histories: Sequence[History]) -> Iterator[History]:
    if len(histories) > 1:
        yield _combined("all in equal parts", histories, lambda parts: np.log(np.exp(parts).mean(axis=0)))
    for held in histories:
        for owed in histories:
            if held is not owed:
                yield _combined(f"{held.asset} against {owed.asset}", (held, owed), lambda parts: parts[0] - parts[1])


def _combined(name: str, histories: Sequence[History], log_return: Callable[[Floats], Floats]) -> History:
    first = max(one.first for one in histories)
    last = min(one.last for one in histories)
    days = (last - first).days
    if days < 1:
        raise BadHistory(f"{name}: there are no days that they have in common")
    parts = [one.returns[(first - one.first).days :][:days] for one in histories]
    moved = np.asarray(log_return(np.stack(parts)), np.float64)
    return History(asset=name, first=first, closes=np.exp(np.concatenate([[0.0], np.cumsum(moved)])))


def validate(
    histories: Sequence[History], models: Mapping[str, Callable[[Floats], Floats]] = MODELS, told: Told = untold
) -> tuple[list[Verdict], list[Line]]:
    """Judge models on subjects; left out is who has not `WINDOW` days and one. Raises `BadHistory` where nobody is left."""
    wanted = [(one, name) for one in subjects(histories) if len(one.returns) > WINDOW for name in models]
    lines = [
        Line(
            subject=one.asset,
            model=name,
            history=one,
            falls=fall(one.returns[WINDOW:]),
            haircuts=np.clip(models[name](one.returns), 0.0, 1.0),
        )
        for one, name in each_told(told, "models", wanted)
    ]
    if not lines:
        raise BadHistory(f"no history has more than {WINDOW + 1} days; nothing can be judged by fewer")
    return [_verdict(line) for line in each_told(told, "verdicts", lines)], lines


def _verdict(line: Line) -> Verdict:
    test = backtest(line.history, line.model, haircuts=line.haircuts)
    beyond = line.falls - line.haircuts
    breached = beyond > 0
    return Verdict(
        subject=line.subject,
        test=test,
        duration_p=duration_p(breached),
        shortfall=shortfall(line.history.returns) if line.model == SHORTFALL_OF else None,
        peak_to_trough=float(line.haircuts.max() / max(line.haircuts.min(), 1e-9)),
        mean_beyond=float(beyond[breached].mean()) if breached.any() else 0.0,
        recent=tuple(
            Recent(days=days, breaches=int(breached[-days:].sum())) for days in LOOKED_BACK if len(breached) >= days
        ),
    )


def day_of(line: Line, number: int) -> str:
    """Return the day of a line's place, as ISO has it."""
    return (line.history.first + timedelta(days=WINDOW + 1 + number)).isoformat()
