"""The snapshots that were made: which there are, what is in one, proofs, differences, checks, and SQL over its tables."""

from __future__ import annotations

import json

from aiohttp import web
from pydantic import Field

from aggregator.audit.difference import MOST_ROWS
from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.errors import UsageError
from crossmargin.server.access import Asker
from crossmargin.server.answers.snapshots import (
    DifferenceAnswer,
    ManifestAnswer,
    PastRows,
    ProofAnswer,
    SnapshotList,
    SnapshotMade,
    VerifiedAnswer,
)
from crossmargin.server.house import House
from crossmargin.server.questions import ACCOUNT, LONGEST_NAME
from crossmargin.server.rooms.queries import admit, response
from crossmargin.server.route import Asked, Room, Scope
from crossmargin.sql import Form, form_of

room = Room("snapshots")

NAME = "A snapshot by its name in the list, such as 20260131T000000Z."
HASH_HEADER = "X-Manifest-Hash"
KEY = "^[0-9a-f]{64}$"


class SnapshotOrder(Asked):
    """As of when, as `--at` takes it; `null`: now."""

    at: str | None


class SnapshotPath(Asked):
    """Which snapshot."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, description=NAME)


class FilePath(SnapshotPath):
    """Which file of it."""

    file: str = Field(
        min_length=1, max_length=LONGEST_NAME, description="A file that the manifest names, or a witness."
    )


class ProofPath(SnapshotPath):
    """Whose proof."""

    account: str = Field(min_length=1, max_length=LONGEST_NAME, description=ACCOUNT)


class DifferencePath(SnapshotPath):
    """From which snapshot to which."""

    other: str = Field(min_length=1, max_length=LONGEST_NAME, description=NAME)


class LimitQuery(Asked):
    """How many rows of each table are told."""

    limit: int = Field(default=MOST_ROWS, ge=0, le=10_000, description="How many differing rows of each table at most.")


class VerifyOrder(Asked):
    """How closely: `key` that is known to be the operator's, `witnesses` that must have signed, and whether to compute all again."""

    key: str | None = Field(default=None, pattern=KEY)
    witnesses: list[str] = Field(default=[], max_length=16)
    recompute: bool = False


class PastQuery(Asked):
    """One SELECT over the tables of a snapshot; `formulas` as in `/v1/sql`."""

    query: str = Field(min_length=1)
    formulas: bool = False


@room.get("/v1/snapshots", answer=SnapshotList)
def list_snapshots(desk: Desk) -> Document:
    """Return the ledger of snapshots, with late, failed and missed slots."""
    return desk.snapshots()


@room.post("/v1/snapshots", answer=SnapshotMade, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def create_snapshot(desk: Desk, body: SnapshotOrder) -> Document:
    """Write a snapshot of every account."""
    return desk.create_snapshot(body.at)


@room.get("/v1/snapshots/{name}", answer=ManifestAnswer)
def show_snapshot(house: House, path: SnapshotPath) -> Document:
    """Return what a snapshot says of itself: its manifest, by whose hash it is named."""
    return house.archive.manifest(house.archive.named(path.name))


@room.get("/v1/snapshots/{name}/files/{file}", answer="application/octet-stream", heavy=True, cached=False)
def download_snapshot_file(house: House, path: FilePath) -> web.FileResponse:
    """Return a file of a snapshot as it is, once its hash was found to be the manifest's."""
    found = house.archive.file(path.name, path.file)
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f"attachment; filename={found.name}"}
    return web.FileResponse(found, headers=headers)


@room.get("/v1/snapshots/{name}/proof/{account}", answer=ProofAnswer, heavy=True)
def prove_account(house: House, path: ProofPath) -> Document:
    """Return the proof that an account is in a snapshot, as `verify.py --proof` takes it."""
    archive = house.archive
    return archive.proof(archive.named(path.name), path.account)


@room.get("/v1/snapshots/{name}/diff/{other}", answer=DifferenceAnswer, heavy=True)
def compare_snapshots(house: House, path: DifferencePath, query: LimitQuery) -> Document:
    """Return what became otherwise from one snapshot to another, and why."""
    archive = house.archive
    return archive.difference(archive.named(path.name), archive.named(path.other), most=query.limit)


@room.post("/v1/snapshots/{name}/verify", answer=VerifiedAnswer, scope=Scope.READ, heavy=True, most_seconds=None)
def verify_snapshot(house: House, path: SnapshotPath, body: VerifyOrder) -> Document:
    """Check a snapshot as `crossmargin snapshot verify` does, in a process of its own, one at a time: its faults and notes."""
    folder = house.archive.named(path.name)
    return house.verification.verify(folder, key=body.key, witnesses=body.witnesses, recompute=body.recompute)


@room.post("/v1/snapshots/{name}/sql", answer=PastRows, scope=None, heavy=True, most_seconds=None)
def ask_snapshot(house: House, asker: Asker, request: web.Request, path: SnapshotPath, body: PastQuery) -> web.Response:
    """Return the rows of one SELECT over the tables of a snapshot, with the hash that names it; forms as of `/v1/sql`."""
    admit(asker, house)
    if not body.query.strip():
        raise UsageError('"query" must be one SELECT')
    pack, form = house.archive.intact(path.name), form_of(request.headers.get("Accept", ""))
    found = response(house.guard.ask(body.query, key=asker.id, form=form, formulas=body.formulas, past=pack.folder))
    found.headers[HASH_HEADER] = pack.hash
    if form is Form.JSON and isinstance(found.body, bytes):
        found.body = encode({**json.loads(found.body), "snapshot": pack.name, "manifest_hash": pack.hash})
    return found
