"""A health factor over time, drawn on the server: a line with its interval, and the line of liquidation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from aggregator.audit.report.page import Html, text

WIDTH, HEIGHT = 680, 220
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 10, 24
LEAST_TOP, MOST_TOP = Decimal(2), Decimal(5)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A health factor at a Unix time; `mid` `None`: there was none, and `why` says so in a word. `high` `None`: nothing bounds it."""

    time: int
    said: str
    low: Decimal | None
    mid: Decimal | None
    high: Decimal | None
    why: str = ""


def course(points: Sequence[Point], title: str) -> Html:
    """Draw points in the order of time; where there is no number the line breaks, and a mark stands at the bottom."""
    scale = _Scale(points)
    said = text(f"{title}: {len(points)} moments from {points[0].said} to {points[-1].said}; the table lists each")
    bands = "".join(_band(part, scale) for part in _parts(points))
    lines = "".join(_line(part, scale) for part in _parts(points))
    marks = "".join(_mark(point, scale) for point in points)
    one = scale.y(ONE)
    return Html(
        f'<svg class="course" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}"><title>{said}</title>'
        f"{_grid(scale)}{bands}"
        f'<line class="boundary" x1="{LEFT}" y1="{one}" x2="{WIDTH - RIGHT}" y2="{one}"></line>{lines}{marks}'
        f'<text class="soft" x="{LEFT}" y="{HEIGHT - 4}">{text(points[0].said)}</text>'
        f'<text class="soft" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{text(points[-1].said)}</text></svg>'
    )


class _Scale:
    """From 0 to a little more than the highest number, at most to 5: more stands at the top."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._first, self._last = points[0].time, points[-1].time
        found = [value for point in points for value in (point.mid, point.high) if value is not None]
        self.top = min(max(LEAST_TOP, max(found, default=LEAST_TOP)), MOST_TOP)

    def x(self, time: int) -> int:
        span = max(self._last - self._first, 1)
        return LEFT + (time - self._first) * (WIDTH - LEFT - RIGHT) // span

    def y(self, value: Decimal | None) -> int:
        """Return where a number stands; what nothing bounds stands at the top."""
        kept = self.top if value is None else min(max(value, Decimal(0)), self.top)
        return TOP + int((self.top - kept) / self.top * (HEIGHT - TOP - BOTTOM))


def _parts(points: Sequence[Point]) -> list[list[Point]]:
    """Divide the points where there is no number."""
    parts: list[list[Point]] = [[]]
    for point in points:
        if point.mid is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return [part for part in parts if part]


def _band(part: Sequence[Point], scale: _Scale) -> str:
    over = [f"{scale.x(point.time)},{scale.y(point.high)}" for point in part]
    under = [f"{scale.x(point.time)},{scale.y(point.low or Decimal(0))}" for point in reversed(part)]
    return f'<polygon class="interval" points="{" ".join([*over, *under])}"></polygon>'


def _line(part: Sequence[Point], scale: _Scale) -> str:
    places = " ".join(f"{scale.x(point.time)},{scale.y(point.mid)}" for point in part)
    return f'<polyline class="line" points="{places}"></polyline>'


def _mark(point: Point, scale: _Scale) -> str:
    if point.mid is None:
        said = text(f"{point.said}: {point.why}")
        x, y = scale.x(point.time) - 2, scale.y(Decimal(0)) - 6
        return f'<rect class="none" x="{x}" y="{y}" width="4" height="6"><title>{said}</title></rect>'
    style = "under" if point.mid < ONE else "dot"
    said = text(f"{point.said}: {point.mid}, {point.low} to {point.high if point.high is not None else 'unbounded'}")
    return f'<circle class="{style}" cx="{scale.x(point.time)}" cy="{scale.y(point.mid)}" r="3"><title>{said}</title></circle>'


def _grid(scale: _Scale) -> str:
    return "".join(
        f'<line class="rule" x1="{LEFT}" y1="{scale.y(Decimal(value))}" x2="{WIDTH - RIGHT}" y2="{scale.y(Decimal(value))}"></line>'
        f'<text class="soft" x="{LEFT - 6}" y="{scale.y(Decimal(value)) + 4}" text-anchor="end">{value}</text>'
        for value in range(int(scale.top) + 1)
    )
