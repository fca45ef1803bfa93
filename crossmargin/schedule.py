"""When snapshots are due. APScheduler rings; which slots are due comes from the ledger, so that none is lost.

A schedule is "every 1h" (slots at whole multiples since 1970, UTC) or a cron line of five fields (UTC).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

EVERY = re.compile(r"every (\d+)(m|h|d)")
UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A named series of moments; `after` gives the first one past a moment, in Unix seconds."""

    text: str
    after: Callable[[int], int]

    def due(self, since: int, now: int) -> Iterator[int]:
        """Yield the slots past `since` up to `now`, oldest first."""
        slot = self.after(since)
        while slot <= now:
            yield slot
            slot = self.after(slot)


def parse(text: str) -> Schedule:
    """Read a schedule; raises `ValueError` with what to write instead."""
    if match := EVERY.fullmatch(text):
        return _every(text, int(match[1]) * UNIT_SECONDS[match[2]])
    try:
        trigger = CronTrigger.from_crontab(_by_weekday_name(text), timezone=UTC)
        _next_fire(trigger, 0)
    except ValueError as error:
        raise ValueError(f'must be "every 1h" or a cron line such as "0 0 * * *", not "{text}": {error}') from error
    return Schedule(text=text, after=lambda time: _next_fire(trigger, time))


def _by_weekday_name(text: str) -> str:
    """Refuse weekdays by number: APScheduler's 0 is a Monday, cron's a Sunday."""
    if re.search(r"\d", text.rpartition(" ")[2]):
        raise ValueError("write weekdays by name (mon-fri)")
    return text


def _every(text: str, seconds: int) -> Schedule:
    if seconds == 0:
        raise ValueError(f'must be longer than nothing, not "{text}"')
    return Schedule(text=text, after=lambda time: (time // seconds + 1) * seconds)


def _next_fire(trigger: CronTrigger, time: int) -> int:
    fire = trigger.get_next_fire_time(None, datetime.fromtimestamp(time, UTC) + timedelta(seconds=1))
    if fire is None:
        raise ValueError("the cron line never comes")
    return int(fire.timestamp())


class AlarmClock:
    """Calls `tick` at once and then every `seconds`; a tick that is still at work is not started twice."""

    def __init__(self, tick: Callable[[], Awaitable[None]], seconds: int) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_job(
            tick,
            "interval",
            seconds=seconds,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)
