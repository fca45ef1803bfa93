"""The house's rules: its policy, and what it deducts."""

from __future__ import annotations

from pydantic import Field

from aggregator.governance.terms import LARGEST_FILE
from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.imports import usd
from crossmargin.server.answers.rules import (
    HaircutList,
    PolicyAnswer,
    PolicyLine,
    PolicyList,
    PolicyPreview,
    PolicyScheduled,
)
from crossmargin.server.questions import AtQuery
from crossmargin.server.route import Asked, Room, Scope

room = Room("rules")

LARGEST_POLICY = 4 * LARGEST_FILE


class HaircutsQuery(AtQuery):
    """Of what sale."""

    value_usd: str | None = Field(default=None, max_length=40, description="How much is sold at once, in USD.")


class Draft(Asked):
    """A policy file."""

    policy: str


class Scheduling(Draft):
    """A policy file that is to count, whether without notice, and who says so."""

    emergency: bool
    who: str


class Withdrawal(Asked):
    """Which scheduled policy is taken back, why, and who says so."""

    version: str
    note: str
    emergency: bool
    who: str


@room.get("/v1/policy", answer=PolicyAnswer)
def show_policy(desk: Desk, query: AtQuery) -> Document:
    """Return the policy in force at a time, with its rules and what follows it."""
    return desk.policy(query.at)


@room.get("/v1/policies", answer=PolicyList)
def list_policies(desk: Desk) -> Document:
    """Return every policy that was ever in force or scheduled."""
    return desk.policies()


@room.post("/v1/policies", answer=PolicyScheduled, scope=Scope.ADMIN, most_bytes=LARGEST_POLICY)
def schedule_policy(desk: Desk, body: Scheduling) -> Document:
    """Enter a policy file into the ledger."""
    return desk.schedule_policy(body.policy, emergency=body.emergency, who=body.who)


@room.post(
    "/v1/policies/preview",
    answer=PolicyPreview,
    scope=Scope.ADMIN,
    most_bytes=LARGEST_POLICY,
    heavy=True,
    most_seconds=None,
)
def preview_policy(desk: Desk, body: Draft) -> Document:
    """Return what a policy file would do; it values the whole book twice."""
    return desk.preview_policy(body.policy)


@room.post("/v1/policies/withdraw", answer=PolicyLine, scope=Scope.ADMIN)
def withdraw_policy(desk: Desk, body: Withdrawal) -> Document:
    """Take back a policy that is scheduled."""
    return desk.withdraw_policy(body.version, note=body.note, emergency=body.emergency, who=body.who)


@room.get("/v1/haircuts", answer=HaircutList)
def show_haircuts(desk: Desk, query: HaircutsQuery) -> Document:
    """Return the layers of every asset's haircut."""
    return desk.haircuts(usd(query.value_usd, "value_usd"), query.at)
