"""Where events are sent to, and what became of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass
from typing import NamedTuple

from indexer.store.session import Con, insert

ACTIVE, DISABLED, REMOVED = "active", "disabled", "removed"
PENDING, DELIVERED, FAILED, LOST = "pending", "delivered", "failed", "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRow:
    """A webhook; `wanted`: which events, in JSON; `place`: the last event that deliveries were made of."""

    id: str
    url: str
    wanted: str
    place: int
    created_at: int
    created_by: str
    state: str = ACTIVE
    reason: str = ""


class DeliveryRow(NamedTuple):
    """One event for one webhook; times in Unix seconds; `answer`: what came of the last attempt, in words."""

    webhook_id: str
    event_id: int
    state: str
    attempts: int
    next_at: int
    last_at: int | None
    answer: str


class WebhookLedger:
    """Webhooks and deliveries within a transaction."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def add(self, row: WebhookRow) -> None:
        """Enter a webhook."""
        insert(self._con, "webhook", astuple(row))

    def set_state(self, webhook_id: str, state: str, reason: str) -> None:
        """Let a webhook be in another state; one that is removed has no deliveries left, and stays so."""
        values = {"id": webhook_id, "state": state, "reason": reason, "removed": REMOVED}
        text = "UPDATE webhook SET state = $state, reason = $reason WHERE id = $id AND state <> $removed"
        self._con.execute(text, values)
        if state == REMOVED:
            self._con.execute("DELETE FROM webhook_delivery WHERE webhook_id = $id", {"id": webhook_id})

    def advance(self, row: WebhookRow, place: int, events: Collection[int], now: int) -> None:
        """Make deliveries of events, and go on behind a place; nothing where the webhook is not as it was read."""
        values = {"id": row.id, "state": row.state, "before": row.place, "place": place}
        text = "UPDATE webhook SET place = $place WHERE id = $id AND state = $state AND place = $before RETURNING id"
        if self._con.execute(text, values).fetchall():
            for event_id in events:
                insert(self._con, "webhook_delivery", DeliveryRow(row.id, event_id, PENDING, 0, now, None, ""))

    def attempted(self, row: DeliveryRow) -> None:
        """Keep what became of a delivery, if it is not removed with its webhook."""
        text = (
            "UPDATE webhook_delivery SET state = $state, attempts = $attempts, next_at = $next_at, last_at = $last_at, "
            "answer = $answer WHERE webhook_id = $webhook_id AND event_id = $event_id"
        )
        self._con.execute(text, row._asdict())

    def forget(self, before: int) -> None:
        """Drop what was done with before a Unix second."""
        text = "DELETE FROM webhook_delivery WHERE state <> 'pending' AND last_at < $before"
        self._con.execute(text, {"before": before})


def webhooks(con: Con) -> list[WebhookRow]:
    """Return every webhook that is not removed, in the order in which they were made."""
    text = (
        "SELECT id, url, wanted, place, created_at, created_by, state, reason FROM webhook "
        "WHERE state <> 'removed' ORDER BY created_at, id"
    )
    names = ("id", "url", "wanted", "place", "created_at", "created_by", "state", "reason")
    return [WebhookRow(**dict(zip(names, row, strict=True))) for row in con.execute(text).fetchall()]


def due(con: Con, now: int, each: int) -> list[DeliveryRow]:
    """Return deliveries to active webhooks whose turn it is: `each` at most of a webhook, all webhooks' first ones first."""
    text = (
        "SELECT d.*, row_number() OVER (PARTITION BY d.webhook_id ORDER BY d.next_at, d.event_id) AS turn "
        "FROM webhook_delivery AS d JOIN webhook AS w ON w.id = d.webhook_id AND w.state = 'active' "
        "WHERE d.state = 'pending' AND d.next_at <= $now QUALIFY turn <= $each ORDER BY turn, d.next_at, d.event_id"
    )
    return [DeliveryRow(*row[:-1]) for row in con.execute(text, {"now": now, "each": each}).fetchall()]


def deliveries(con: Con, webhook_id: str, count: int) -> list[DeliveryRow]:
    """Return the newest deliveries of a webhook."""
    text = "SELECT * FROM webhook_delivery WHERE webhook_id = $id ORDER BY event_id DESC LIMIT $count"
    return [DeliveryRow(*row) for row in con.execute(text, {"id": webhook_id, "count": count}).fetchall()]
