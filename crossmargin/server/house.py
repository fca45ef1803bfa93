"""What routes may ask for besides the desk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossmargin.alerts import Alerts
from crossmargin.archive import Archive
from crossmargin.from_lake import LakeDesk
from crossmargin.haircut_history import HaircutHistory
from crossmargin.lists import Lists
from crossmargin.mirror.source import Source
from crossmargin.server.books import Books
from crossmargin.server.current import Current
from crossmargin.server.cursors import Cursors
from crossmargin.server.metrics import Metrics
from crossmargin.server.route import Route
from crossmargin.server.stream.hub import Streams
from crossmargin.server.workers import Workers
from crossmargin.sql.guard import Guard
from crossmargin.verification import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The parts of one running service."""

    metrics: Metrics
    cursors: Cursors
    routes: Sequence[Route]
    openapi: Callable[[], bytes]
    """Gives the OpenAPI document, which is written when somebody first asks for it: that takes a quarter of a second."""

    lists: Lists
    current: Current
    workers: Workers
    guard: Guard
    archive: Archive
    streams: Streams
    anonymous_sql: bool
    """Whether anybody may ask SQL of what is published."""

    books: Books
    alerts: Alerts
    haircuts: HaircutHistory
    verification: Verification
    source: Source | None
    """Gives rows to aggregators, where chains are followed."""

    lake: LakeDesk | None = None
    """The desk, where it answers out of a lake."""
