"""Pages of snapshots: the ledger, one of them, what verifying it comes to, proofs, and what differs between two."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from crossmargin.archive import Archive
from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.errors import NoSuchThing
from crossmargin.packed import summary
from crossmargin.server.house import House
from crossmargin.server.questions import LONGEST_NAME
from crossmargin.server.rooms.pages import HTML, TableQuery, answered, meant
from crossmargin.server.route import Asked, Room
from crossmargin.server.web import archives

room = Room("pages")


class SnapshotPath(Asked):
    """Which snapshot."""

    name: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")


class VerifyQuery(TableQuery):
    """Whether to compute everything again, too."""

    recompute: bool = False


class ProofQuery(TableQuery):
    """Of which account."""

    account: str = Field(min_length=1, max_length=LONGEST_NAME)


class ProofFileQuery(Asked):
    """Of which account."""

    account: str = Field(min_length=1, max_length=LONGEST_NAME)


class DifferenceQuery(TableQuery):
    """Between which two."""

    before: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")
    after: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")


@room.get("/ui/snapshots", answer=HTML, cached=False)
def show_snapshots(desk: Desk, house: House, query: TableQuery) -> web.Response:
    """Return the page of slots and snapshots."""
    page = archives.ledger(desk.snapshots()["snapshots"], house.archive.names(), desk.status())
    return answered(page, query.csv)


@room.get("/ui/snapshots/{name}", answer=HTML, cached=False, heavy=True)
def show_snapshot(desk: Desk, house: House, path: SnapshotPath, query: TableQuery) -> web.Response:
    """Return the page of one snapshot."""
    found = summary(house.archive, _there(house.archive, path.name))
    return answered(archives.snapshot(found, _line(desk, path.name)), query.csv)


@room.get("/ui/snapshots/{name}/verify", answer=HTML, cached=False, heavy=True)
def verify_snapshot(
    desk: Desk, house: House, request: web.Request, path: SnapshotPath, query: VerifyQuery
) -> web.Response:
    """Return what came of verifying one snapshot here, check by check; one at a time."""
    meant(request)
    name, line = _there(house.archive, path.name), _line(desk, path.name)
    recorded = None if line is None else line["manifest_hash"]
    found = house.verification.check(house.archive, name, recorded=recorded, recompute=query.recompute)
    return answered(archives.verification(found, found["manifest"]), query.csv)


@room.get("/ui/snapshots/{name}/proof", answer=HTML, cached=False, heavy=True)
def show_proof(house: House, request: web.Request, path: SnapshotPath, query: ProofQuery) -> web.Response:
    """Return the page of the proof that an account is in a snapshot."""
    meant(request)
    name = _there(house.archive, path.name)
    found = house.archive.proof(name, query.account)
    return answered(archives.proof(found, house.archive.manifest(name)["manifest"]), query.csv)


@room.get("/ui/snapshots/{name}/proof.json", answer="application/json", cached=False, heavy=True)
def give_proof(house: House, request: web.Request, path: SnapshotPath, query: ProofFileQuery) -> web.Response:
    """Return that proof, as verify.py takes it."""
    meant(request)
    body = encode(house.archive.proof(_there(house.archive, path.name), query.account))
    headers = {"Content-Type": "application/json", "Content-Disposition": 'attachment; filename="proof.json"'}
    return web.Response(body=body, headers=headers)


@room.get("/ui/difference", answer=HTML, cached=False, heavy=True)
def show_difference(desk: Desk, house: House, request: web.Request, query: DifferenceQuery) -> web.Response:
    """Return what became otherwise between two snapshots, and why."""
    meant(request)
    before, after = (_there(house.archive, name) for name in (query.before, query.after))
    return answered(archives.difference(house.archive.difference(before, after), desk.status()), query.csv)


def _there(archive: Archive, name: str) -> str:
    """Return the name of a snapshot of the archive; no other folder is opened. Raises `NoSuchThing`."""
    if name not in archive.names():
        raise NoSuchThing(f"there is no snapshot {name} here; /ui/snapshots names those that are")
    return name


def _line(desk: Desk, name: str) -> Document | None:
    """Return what the ledger says of a snapshot, `None` where it does not know it."""
    return next((line for line in desk.snapshots()["snapshots"] if line["snapshot"] == name), None)
