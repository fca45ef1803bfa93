"""What can be checked and kept: inputs, backups, and comparisons with contracts."""

from __future__ import annotations

from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.server.answers.controls import Backup, ParityAnswer
from crossmargin.server.questions import LONGEST_NAME
from crossmargin.server.route import Asked, Room, Scope

room = Room("controls")


class DigestPath(Asked):
    """Which inputs."""

    digest: str = Field(min_length=1, max_length=LONGEST_NAME, description="The `input_digest` of a health document.")


class BackupOrder(Asked):
    """What it is to be called, and how many are kept; `null` as the command leaves it out."""

    name: str | None
    keep: int | None


class ParityOrder(Asked):
    """Which venue, how many units of each, as of when; `null` as the command leaves it out."""

    venue: str | None
    sample: int | None = Field(ge=1)
    at: str | None


@room.get("/v1/inputs/{digest}", answer="application/json")
def show_inputs(desk: Desk, path: DigestPath) -> bytes:
    """Return stored inputs: the very bytes that the digest is of."""
    return desk.inputs(path.digest).encode("utf-8")


@room.post("/v1/backups", answer=Backup, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def back_up(desk: Desk, body: BackupOrder) -> Document:
    """Write a copy of the store."""
    return desk.back_up(body.name, body.keep)


@room.post("/v1/parity", answer=ParityAnswer, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def audit_parity(desk: Desk, body: ParityOrder) -> Document:
    """Compare the next units of one venue, or of each, with their contracts' own views."""
    return desk.audit_parity(body.venue, body.sample, body.at)
