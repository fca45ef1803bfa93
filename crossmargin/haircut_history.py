"""How haircuts were: by every policy of the ledger, and at the last days."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from threading import Lock
from typing import Any

from crossmargin.desk import Desk
from crossmargin.documents import Document, moment
from crossmargin.errors import DeskError

DAY_S = 86_400
LAST_DAYS = 7
SOLD_USD = 1_000_000.0
KEPT = 64
BEGINNING = "@1"


class HaircutHistory:
    """Asks a desk about times that are past, and keeps what it said of them under each policy."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str], Document] = OrderedDict()

    def versions(self) -> list[Document]:
        """Return the classes of every policy that is not withdrawn, by class and then in the order in which they count."""
        return sorted(self._versions(), key=lambda each: (each["class"], each["effective_from"] or ""))

    def days(self, status: Document) -> list[Document]:
        """Return the haircuts at the last stored time and whole days before it, the oldest first; times before the store's are left out."""
        times = [
            int(datetime.fromisoformat(chain["indexed"]["time"]).timestamp())
            for chain in status["chains"]
            if chain["indexed"] is not None
        ]
        if not times:
            return []
        found = (self._at(min(times) - DAY_S * number) for number in reversed(range(LAST_DAYS + 1)))
        return [each for each in found if each is not None]

    def _versions(self) -> Iterator[dict[str, Any]]:
        for policy in self._desk.policies()["policies"]:
            if policy["withdrawn"]:
                continue
            shown = self._desk.policy(policy["effective_from"] or BEGINNING)
            if shown["digest"] != policy["digest"]:
                continue
            for name, terms in shown["rules"]["classes"].items():
                said = {key: policy[key] for key in ("version", "effective_from", "state")}
                yield {"class": name, **said, **terms}

    def _at(self, time: int) -> Document | None:
        """Return the haircuts at a time, `None` where nothing was stored then."""
        key = (moment(time), str(self._desk.policy(f"@{time}")["digest"]))
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        try:
            found = {"at": moment(time), **self._desk.haircuts(SOLD_USD, f"@{time}")}
        except DeskError:
            return None
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found
