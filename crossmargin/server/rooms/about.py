"""The service itself: whether it is there, whether it may be believed, what it counts, and what can be asked."""

from __future__ import annotations

from aiohttp import web

from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.server.answers.service import Alive, Ready
from crossmargin.server.house import House
from crossmargin.server.route import Room

room = Room("service")

JSON = "application/json"
EXPOSITION = "text/plain; charset=utf-8"


@room.get("/healthz", answer=Alive, scope=None, cached=False)
async def is_there() -> Document:
    """Say that the process answers."""
    return {"status": "ok"}


@room.get("/readyz", answer=Ready, scope=None, cached=False)
def is_ready(desk: Desk) -> web.Response:
    """Say that answers can be believed: every chain is followed, reached and near its head; else 503 with the reasons."""
    reasons = [chain["reason"] | {"chain": chain["chain"]} for chain in desk.status()["chains"] if chain["reason"]]
    body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
    return web.Response(status=503 if reasons else 200, body=encode(body), content_type=JSON)


@room.get("/metrics", answer=EXPOSITION, cached=False)
def show_metrics(desk: Desk, house: House) -> bytes:
    """Return what Prometheus reads."""
    return house.metrics.render(desk.status(), desk.prices(None))


@room.get("/openapi.json", answer=JSON, scope=None)
def show_openapi(house: House) -> bytes:
    """Return the OpenAPI document of this service."""
    return house.openapi()
