"""What happens if: the library of scenarios, and what each does to the price of every asset that is held or owed.

A scenario gives every asset a move, with the rule that it came by; one without a rule for a held asset does not exist. Moves are
relative to the price of before, and never below −1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from aggregator.margin.policy_text import PolicyError, demand, number, reader, refuse_unknown, table_of

NOTHING_LEFT = -1.0
LARGEST_RISE = 100.0
SMALLEST_STEP = 0.01
PLACES = 9
"""Of a move, so that a step of 0.05 counted ten times is 0.5."""

TABLES = ("version", "mapping", "grid", "failures", "together", "freeze", "thin", "worst", "window")
WINDOW = ("id", "name", "first", "last", "source", "moves")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class ScenarioError(PolicyError):
    """A scenario that cannot be meant, or that says nothing of what is held; the message says what to write instead."""


class Severity(StrEnum):
    """Which of a window's moves counts: the worst day's, the lowest close, or the lowest price."""

    DAY = "day"
    CLOSE = "close"
    LOW = "low"


class Rule(StrEnum):
    """Where a move comes from."""

    MEASURED = "measured"
    """The window tells it of this very identity."""
    REDEEMED = "redeemed"
    """Of what the thing is redeemed for, and its own discount."""
    DOLLAR = "dollar"
    """Worth a dollar by its class: its own discount alone."""
    BETA = "beta"
    """The market's, times beta and excess, and its own discount."""
    ESTIMATED = "estimated"
    """By what its own days go beyond with a chance."""
    SAID = "said"
    """The scenario itself names it."""
    UNTOUCHED = "untouched"
    """The scenario leaves it as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """One identity in one window, relative to the close of its first day."""

    day: float
    close: float
    low: float

    def of(self, severity: Severity) -> float:
        return {Severity.DAY: self.day, Severity.CLOSE: self.close, Severity.LOW: self.low}[severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Days on which something happened, both included, with what was measured of them."""

    id: str
    name: str
    first: date
    last: date
    source: str
    moves: Mapping[str, Moves]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How what a window says nothing of follows the market."""

    market: str
    excess: float
    beta: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All that `config/scenarios.toml` says."""

    version: str
    mapping: Following
    grid: tuple[float, ...]
    stable: float
    lst: float
    bridge: float
    together: float
    freeze_days: tuple[int, ...]
    freeze_depth: float
    thin: float
    worst_days: tuple[int, ...]
    windows: tuple[Window, ...]

    def window(self, name: str) -> Window:
        """Return a window by its id; raises `ScenarioError`."""
        for window in self.windows:
            if window.id == name:
                return window
        raise ScenarioError(f'there is no window "{name}"; there are: {", ".join(each.id for each in self.windows)}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a scenario has to know of an asset that anybody holds or owes.

    `beta`: to the market, `None` where no history tells; `peg`: what is seen of its discount, as a fraction; `redeems`: the identity that
    it is redeemed for; `usd_like`, `staked`: by its class.
    """

    asset: str
    identity: str
    chain: str
    usd_like: bool = False
    staked: bool = False
    bridge: str | None = None
    redeems: str | None = None
    peg: float = 0.0
    beta: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one asset does in a scenario, and by which rule."""

    asset: str
    move: float
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Moves of all assets of a book; `frozen`: chains on which nobody can act meanwhile."""

    id: str
    name: str
    moves: tuple[Applied, ...]
    frozen: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def move(self, asset: str) -> float:
        """Return the move of an asset; raises `ScenarioError` for one that the scenario was not made for."""
        for applied in self.moves:
            if applied.asset == asset:
                return applied.move
        raise ScenarioError(
            f"scenario {self.id} says nothing of {asset}, which somebody holds: make it anew for this book"
        )


def parse_library(document: Mapping[str, Any]) -> Library:
    """Read the parsed TOML; raises `ScenarioError` with the first thing that cannot be meant."""
    try:
        return _library(document)
    except ScenarioError:
        raise
    except PolicyError as error:
        raise ScenarioError(str(error)) from error


def in_window(library: Library, window: Window, severity: Severity, held: Sequence[Held]) -> Scenario:
    """Make the scenario of a window for a book; raises `ScenarioError` where the market itself is not measured and is needed."""
    moves = tuple(_in_window(library, window, severity, each) for each in _some(held))
    return Scenario(
        id=f"{window.id}:{severity}",
        name=window.name,
        moves=moves,
        facts={"first": window.first.isoformat(), "last": window.last.isoformat(), "source": window.source},
    )


def shocked(name: str, moves: Mapping[str, float], held: Sequence[Held], *, others: float = 0.0) -> Scenario:
    """Make a scenario of moves by identity or asset, `others` for all else that is not worth a dollar.

    Raises `ScenarioError` for a move below −1, and for a name that nobody holds.
    """
    known = {each.identity for each in _some(held)} | {each.asset for each in held}
    for subject, move in moves.items():
        _check(move, subject)
        if subject not in known:
            raise ScenarioError(
                f'nobody holds or owes "{subject}"; there are: {", ".join(sorted({h.identity for h in held}))}'
            )
    _check(others, "all others")
    return Scenario(id=name, name=name, moves=tuple(_shocked(each, moves, others) for each in held))


def grid(library: Library, held: Sequence[Held]) -> Iterator[Scenario]:
    """Move everything that is not worth a dollar alike, step by step."""
    for move in library.grid:
        yield shocked(f"all{move:+.0%}", {}, held, others=move)


def failures(library: Library, held: Sequence[Held]) -> Iterator[Scenario]:
    """Let each stablecoin, each liquid staking token and each bridge fail by itself, and each chain stand still."""
    for identity in sorted({each.identity for each in _some(held) if each.usd_like}):
        yield shocked(f"depeg-{identity}", {identity: library.stable}, held)
    for identity in sorted({each.identity for each in held if each.staked}):
        yield shocked(f"discount-{identity}", {identity: library.lst}, held)
    for bridge in sorted({each.bridge for each in held if each.bridge is not None}):
        lost = {each.asset: library.bridge for each in held if each.bridge == bridge}
        yield shocked(f"bridge-{bridge}", lost, held)
    for chain in sorted({each.chain for each in held}):
        still = shocked(f"frozen-{chain}", {}, held)
        yield Scenario(id=still.id, name=f"{chain} stands still", moves=still.moves, frozen=(chain,))


def _in_window(library: Library, window: Window, severity: Severity, held: Held) -> Applied:
    for name in (held.identity, held.asset):
        if name in window.moves:
            return Applied(asset=held.asset, move=window.moves[name].of(severity), rule=Rule.MEASURED)
    if held.usd_like:
        return Applied(asset=held.asset, move=_with_peg(0.0, held), rule=Rule.DOLLAR)
    if held.redeems is not None and held.redeems in window.moves:
        return Applied(
            asset=held.asset, move=_with_peg(window.moves[held.redeems].of(severity), held), rule=Rule.REDEEMED
        )
    market = window.moves.get(library.mapping.market)
    if market is None:
        raise ScenarioError(
            f"{window.id} has no move for {held.identity}, nor for {library.mapping.market}, which it would follow: "
            f"add moves.{held.identity}"
        )
    beta = library.mapping.beta if held.beta is None else held.beta
    move = market.of(severity) * beta
    return Applied(asset=held.asset, move=_with_peg(min(move, move * library.mapping.excess), held), rule=Rule.BETA)


def _with_peg(move: float, held: Held) -> float:
    return max(NOTHING_LEFT, round((1 + max(move, NOTHING_LEFT)) * (1 - held.peg) - 1, PLACES))


def _shocked(held: Held, moves: Mapping[str, float], others: float) -> Applied:
    for name in (held.asset, held.identity):
        if name in moves:
            return Applied(asset=held.asset, move=moves[name], rule=Rule.SAID)
    move = 0.0 if held.usd_like else others
    return Applied(asset=held.asset, move=move, rule=Rule.SAID if move else Rule.UNTOUCHED)


def _some(held: Sequence[Held]) -> Sequence[Held]:
    if not held:
        raise ScenarioError("nobody holds or owes anything, so nothing can be stressed; index a venue first")
    return held


def _check(move: float, subject: str) -> None:
    if not math.isfinite(move) or not NOTHING_LEFT <= move <= LARGEST_RISE:
        raise ScenarioError(
            f"{subject}: a move must be from -1 (nothing is left) to {LARGEST_RISE:.0f}, not {move}; 0.25 is a quarter more"
        )


def _library(document: Mapping[str, Any]) -> Library:
    refuse_unknown("scenarios", document, TABLES)
    version = document.get("version")
    if not isinstance(version, str) or not version:
        raise ScenarioError('version must be a text such as "1"; results name it')
    mapping = reader("mapping", table_of("mapping", document.get("mapping")), ("market", "excess", "beta"))
    failing = reader("failures", table_of("failures", document.get("failures")), ("stable", "lst", "bridge"))
    freeze = reader("freeze", table_of("freeze", document.get("freeze")), ("days", "depth"))
    return Library(
        version=version,
        mapping=Following(
            market=mapping("market", _text), excess=mapping("excess", _positive), beta=mapping("beta", _positive)
        ),
        grid=_grid(table_of("grid", document.get("grid"))),
        stable=failing("stable", _move),
        lst=failing("lst", _move),
        bridge=failing("bridge", _move),
        together=reader("together", table_of("together", document.get("together")), ("chance",))("chance", _share),
        freeze_days=freeze("days", _days),
        freeze_depth=freeze("depth", _share),
        thin=reader("thin", table_of("thin", document.get("thin")), ("share",))("share", _share),
        worst_days=reader("worst", table_of("worst", document.get("worst")), ("days",))("days", _days),
        windows=_windows(document.get("window", [])),
    )


def _grid(table: Mapping[str, Any]) -> tuple[float, ...]:
    read = reader("grid", table, ("lowest", "highest", "step"))
    lowest, highest, step = read("lowest", _move), read("highest", _move), read("step", _positive)
    demand("grid", lowest < highest and step >= SMALLEST_STEP, f"lowest < highest, and step at least {SMALLEST_STEP}")
    count = round((highest - lowest) / step)
    demand(
        "grid",
        math.isclose(lowest + count * step, highest, abs_tol=1e-9),
        "highest a whole number of steps above lowest",
    )
    return tuple(round(lowest + index * step, PLACES) for index in range(count + 1))


def _windows(tables: object) -> tuple[Window, ...]:
    if not isinstance(tables, list):
        raise ScenarioError("[[window]] must be a list of tables")
    made: dict[str, Window] = {}
    for index, table in enumerate(tables, 1):
        window = _window(f"window #{index}", table_of(f"window #{index}", table))
        if window.id in made:
            raise ScenarioError(f'[window #{index}] id "{window.id}" is taken by another window')
        made[window.id] = window
    return tuple(made.values())


def _window(place: str, table: Mapping[str, Any]) -> Window:
    read = reader(place, table, WINDOW)
    first, last = read("first", _day), read("last", _day)
    demand(place, first < last, "first before last: moves are relative to the close of the first day")
    told = table_of(f"{place} moves", table.get("moves"))
    demand(place, bool(told), "at least one of moves")
    return Window(
        id=read("id", _identifier),
        name=read("name", _text),
        first=first,
        last=last,
        source=read("source", _text),
        moves={identity: _moves(f"{place} moves.{identity}", table_of(place, each)) for identity, each in told.items()},
    )


def _moves(place: str, table: Mapping[str, Any]) -> Moves:
    read = reader(place, table, ("day", "close", "low"))
    made = Moves(day=read("day", _move), close=read("close", _move), low=read("low", _move))
    demand(place, made.low <= made.close, "low at most close: the lowest price is no higher than the lowest close")
    return made


def _move(value: object) -> float:
    found = number(value)
    if not NOTHING_LEFT <= found <= LARGEST_RISE:
        raise ValueError(f"must be a relative move from -1 to {LARGEST_RISE:.0f} such as -0.25, not {value!r}")
    return found


def _positive(value: object) -> float:
    found = number(value)
    if found <= 0:
        raise ValueError(f"must be above 0, not {value!r}")
    return found


def _share(value: object) -> float:
    found = number(value)
    if not 0 < found < 1:
        raise ValueError(f"must be between 0 and 1, not {value!r}")
    return found


def _days(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(day) is int and 0 < day <= 365 for day in value):  # noqa: PLR2004 - within a year
        raise ValueError(f"must be a list of whole days such as [1, 3, 7], not {value!r}")
    return tuple(sorted(set(value)))


def _day(value: object) -> date:
    if type(value) is not date:
        raise ValueError(f"must be a day such as 2020-03-11, not {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f'must be a word such as "ftx-2022", not {value!r}')
    return value
