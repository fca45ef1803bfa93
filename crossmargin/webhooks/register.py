"""The webhooks of one store: added, listed, tried and removed; the process that has the store keeps them in memory."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.remembered import Remembered
from crossmargin.server.stream.events import Wanted, wanted_of
from crossmargin.watch import Clock
from crossmargin.webhooks.guard import check_url
from crossmargin.webhooks.sending import Letter, message, send, sessions
from crossmargin.webhooks.signing import SecretFolder
from indexer.store import Store
from indexer.store.webhooks import ACTIVE, REMOVED, WebhookRow

ID_BYTES = 6
MOST = 100
LOGGED = 100
LISTS = ("kinds", "owners", "venues", "assets")


class Webhooks:
    """See the module; `loopback`: whether they may go to this machine."""

    def __init__(self, store: Store, folder: SecretFolder, clock: Clock, *, loopback: bool) -> None:
        self._store, self.secrets, self._clock, self.loopback = store, folder, clock, loopback
        self._known = Remembered(self._read)

    def add(self, url: str, wanted: Mapping[str, Any], *, who: str) -> Document:
        """Let events go to an address from now on, and return it with the secret that signs them; raises `UsageError`."""
        check_url(url, loopback=self.loopback)
        wanted_in(wanted)
        if len(self.rows()) >= MOST:
            raise UsageError(f"there are {MOST} webhooks already; remove one")
        with self._store.reading() as reader:
            place = reader.event_ends().last
        row = WebhookRow(
            id=secrets.token_hex(ID_BYTES),
            url=url,
            wanted=json.dumps(wanted),
            place=place,
            created_at=int(self._clock()),
            created_by=who,
        )
        secret = self.secrets.create(row.id)
        with self._store.webhooks() as ledger:
            ledger.add(row)
        self._known.forget()
        return self._line(row) | {"secret": secret}

    def listing(self) -> Document:
        return {"webhooks": [self._line(row) for row in self.rows()]}

    def remove(self, webhook_id: str) -> Document:
        """Send nothing there any more, and forget its secret; raises `NoSuchThing`."""
        row = self.row(webhook_id)
        self.set_state(row.id, REMOVED, "")
        self.secrets.remove(row.id)
        return self._line(row) | {"state": REMOVED}

    def set_state(self, webhook_id: str, state: str, reason: str) -> None:
        with self._store.webhooks() as ledger:
            ledger.set_state(webhook_id, state, reason)
        self._known.forget()

    def log(self, webhook_id: str) -> Document:
        """Return what became of its newest events; raises `NoSuchThing`."""
        row = self.row(webhook_id)
        with self._store.reading() as reader:
            found = reader.webhook_deliveries(row.id, LOGGED)
        return {
            "webhook": row.id,
            "deliveries": [
                {
                    "event": str(each.event_id),
                    "state": each.state,
                    "attempts": each.attempts,
                    "last_at": None if each.last_at is None else moment(each.last_at),
                    "next_at": moment(each.next_at) if each.state == "pending" else None,
                    "answer": harmless(each.answer),
                }
                for each in found
            ],
        }

    def try_out(self, webhook_id: str) -> Document:
        """Send an event of the kind `test`, once; one that takes it is active again. Raises `NoSuchThing`."""
        row, now = self.row(webhook_id), int(self._clock())
        secret = self.secrets.secret(row.id)
        event = f'{{"id":"0","kind":"test","time":"{moment(now)}","webhook":"{row.id}"}}'

        async def once() -> tuple[bool, str]:
            async with sessions(loopback=self.loopback) as session:
                body, name = message("test", now, event), f"msg_test_{secrets.token_hex(ID_BYTES)}"
                letter = Letter(url=row.url, secret=secret, name=name, body=body)
                found = await send(session, letter, now, loopback=self.loopback)
            return found.taken, found.answer

        taken, answer = asyncio.run(once())
        if taken and row.state != ACTIVE:
            self.set_state(row.id, ACTIVE, "")
        return {"webhook": row.id, "delivered": taken, "answer": harmless(answer)}

    def row(self, webhook_id: str) -> WebhookRow:
        found = next((row for row in self.rows() if row.id == webhook_id), None)
        if found is None:
            shown = harmless(webhook_id, longest=80)
            raise NoSuchThing(f'there is no webhook with the id "{shown}"; `crossmargin webhooks list` has them')
        return found

    def rows(self) -> Sequence[WebhookRow]:
        return self._known.get()

    def advanced(self) -> None:
        """Note that places moved."""
        self._known.forget()

    def _read(self) -> Sequence[WebhookRow]:
        with self._store.reading() as reader:
            return reader.webhooks()

    def _line(self, row: WebhookRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "url": row.url,
            **json.loads(row.wanted),
            "state": row.state,
            "reason": row.reason,
            "created_at": moment(row.created_at),
            "created_by": row.created_by,
        }


def wanted_in(said: Mapping[str, Any]) -> Wanted:
    """Read which events somebody wants; raises `UsageError`."""
    return wanted_of(**{name: said.get(name) or () for name in LISTS}, min_band=said.get("min_band"))
