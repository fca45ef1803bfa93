"""Answers about the service itself, its keys and its webhooks."""

from __future__ import annotations

from aggregator.margin.permits_document import ReasonView
from crossmargin.server.answers.model import Answer


class Alive(Answer):
    """That the process answers."""

    status: str


class ChainReason(ReasonView):
    """Why a chain cannot be believed."""

    chain: str


class Ready(Answer):
    """Whether answers can be believed, and why not."""

    status: str
    reasons: list[ChainReason]


class KeyLine(Answer):
    """An API key without its secret; `null`: no quota, no end, not revoked."""

    id: str
    name: str
    scopes: list[str]
    quota_per_minute: int | None
    state: str
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None


class KeyMade(KeyLine):
    """A new API key with its secret, which is told nowhere else."""

    key: str


class KeyList(Answer):
    """Every key that was ever made."""

    keys: list[KeyLine]


class WebhookLine(Answer):
    """Where events go, and which; empty lists choose nothing out."""

    id: str
    url: str
    kinds: list[str]
    owners: list[str]
    venues: list[str]
    assets: list[str]
    min_band: str | None
    state: str
    reason: str
    created_at: str
    created_by: str


class WebhookMade(WebhookLine):
    """A new webhook with the secret that signs its events, which is told nowhere else."""

    secret: str


class WebhookList(Answer):
    """Every webhook."""

    webhooks: list[WebhookLine]


class WebhookTried(Answer):
    """What came of a test."""

    webhook: str
    delivered: bool
    answer: str


class Delivery(Answer):
    """What became of an event."""

    event: str
    state: str
    attempts: int
    last_at: str | None
    next_at: str | None
    answer: str


class DeliveryLog(Answer):
    """What became of the newest events of a webhook."""

    webhook: str
    deliveries: list[Delivery]
