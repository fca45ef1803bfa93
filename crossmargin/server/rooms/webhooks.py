"""Webhooks, for whoever administers the service."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.server.answers.service import DeliveryLog, WebhookLine, WebhookList, WebhookMade, WebhookTried
from crossmargin.server.idempotency import HEADER
from crossmargin.server.route import Asked, Room, Scope
from crossmargin.server.stream.events import LONGEST_WANTED, MOST_WANTED

room = Room("webhooks")

Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=LONGEST_WANTED)]], Field(max_length=MOST_WANTED)]


class WebhookPath(Asked):
    """Which webhook."""

    id: str = Field(min_length=1, max_length=80)


class WebhookOrder(Asked):
    """Where events are to go, and which; a list that is empty chooses nothing out."""

    url: str = Field(min_length=1, max_length=2000)
    kinds: Words = Field(default_factory=list)
    owners: Words = Field(default_factory=list)
    venues: Words = Field(default_factory=list)
    assets: Words = Field(default_factory=list)
    min_band: str | None = Field(default=None, max_length=40)
    who: str = Field(default="", max_length=80)


@room.get("/v1/webhooks", answer=WebhookList, scope=Scope.ADMIN)
def list_webhooks(desk: Desk) -> Document:
    """Return every webhook, without its secret."""
    return desk.webhooks()


@room.post("/v1/webhooks", answer=WebhookMade, scope=Scope.ADMIN)
def add_webhook(desk: Desk, request: web.Request, body: WebhookOrder) -> Document:
    """Let events go to an address from now on. The secret that signs them is in this answer and nowhere else."""
    if HEADER in request.headers:
        raise UsageError(f"a secret is shown once, and not again under the same {HEADER}; leave it out")
    wanted = body.model_dump(include={"kinds", "owners", "venues", "assets", "min_band"})
    return desk.add_webhook(body.url, wanted, who=body.who)


@room.post("/v1/webhooks/{id}/remove", answer=WebhookLine, scope=Scope.ADMIN)
def remove_webhook(desk: Desk, path: WebhookPath) -> Document:
    """Send nothing there any more."""
    return desk.remove_webhook(path.id)


@room.post("/v1/webhooks/{id}/test", answer=WebhookTried, scope=Scope.ADMIN)
def test_webhook(desk: Desk, path: WebhookPath) -> Document:
    """Send an event of the kind `test` once, and say what came of it; a disabled webhook that takes it is active again."""
    return desk.test_webhook(path.id)


@room.get("/v1/webhooks/{id}/log", answer=DeliveryLog, scope=Scope.ADMIN)
def show_webhook_log(desk: Desk, path: WebhookPath) -> Document:
    """Return what became of the newest events of a webhook."""
    return desk.webhook_log(path.id)
