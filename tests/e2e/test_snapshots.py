"""Snapshots: one for every slot, as of its slot, none forgotten; and a changed byte is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aggregator.audit.snapshot import SnapshotExists, snapshot_id
from chains.errors import ChainError
from crossmargin.app import opened, policy_of
from crossmargin.documents import moment
from crossmargin.errors import UsageError
from crossmargin.keys import Keyring
from crossmargin.local_desk import LocalDesk
from crossmargin.settings import load
from crossmargin.snapshots import LATE_S
from indexer.store import Store
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get, until
from tests.support.recorded import CONFIGURATION, crossmargin, recorded, service

HOUR = 3600


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return float(self.now)


class Office:
    """A desk with a schedule and a clock; it can close and open again."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        clock: Clock,
        schedule: str,
        *,
        rpc: tuple[str, ...] | None = None,
        room: Path | None = None,
    ) -> None:
        settings = load(folder / CONFIGURATION, {})
        places: dict[str, Any] = {"folder": room / "snapshots", "keys": room / "keys"} if room else {}
        snapshot = replace(settings.snapshot, schedule=schedule, **places)
        chains = [replace(chain, spec=replace(chain.spec, rpc=rpc or chain.spec.rpc)) for chain in settings.chains]
        self.settings = replace(settings, snapshot=snapshot, chains=tuple(chains))
        self.desk = LocalDesk(self.settings, store, policy_of(settings), clock=clock)

    def ledger(self) -> list[tuple[str, str]]:
        """Slots and their states, oldest first."""
        rows: list[dict[str, Any]] = self.desk.snapshots()["snapshots"]
        return [(row["slot_time"], row["state"]) for row in reversed(rows)]


@pytest.fixture
def store(indexed: Indexed) -> Iterator[Store]:
    with opened(load(indexed.folder / CONFIGURATION, {})) as store:
        yield store


@pytest.fixture
def crash() -> int:
    """The last whole hour before the crash."""
    north = recorded()[0]
    return int(north.blocks[north.story["crash_block"]]["timestamp"], 16) // HOUR * HOUR


@pytest.fixture
def midnight() -> int:
    """A moment long before the last final blocks of the recorded chains."""
    return 1_736_640_000  # 2025-01-12T00:00:00Z


def test_a_schedule_begins_with_its_next_slot(indexed: Indexed, store: Store, midnight: int) -> None:
    office = Office(indexed.folder, store, Clock(midnight - 10), "every 1h")

    office.desk.make_due_snapshots()

    assert office.ledger() == [(moment(midnight), "waiting")]


def test_a_slot_is_made_once_as_of_its_own_time(indexed: Indexed, store: Store, midnight: int) -> None:
    clock = Clock(midnight - 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()

    clock.now = midnight + 30
    for _ in range(3):
        office.desk.make_due_snapshots()

    assert office.ledger() == [(moment(midnight), "done"), (moment(midnight + HOUR), "waiting")]
    (made,) = (row for row in office.desk.snapshots()["snapshots"] if row["state"] == "done")
    for recording in recorded():
        at = made["cut"][recording.chain_id]["block"]
        assert int(recording.blocks[at]["timestamp"], 16) <= midnight < int(recording.blocks[at + 1]["timestamp"], 16)


def test_slots_that_came_while_the_service_was_off_are_made_late(indexed: Indexed, store: Store, midnight: int) -> None:
    clock = Clock(midnight - 10)
    Office(indexed.folder, store, clock, "every 1h").desk.make_due_snapshots()

    clock.now = midnight + 3 * HOUR + 30
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()

    assert office.ledger() == [
        (moment(midnight), "late"),
        (moment(midnight + HOUR), "late"),
        (moment(midnight + 2 * HOUR), "late"),
        (moment(midnight + 3 * HOUR), "done"),
        (moment(midnight + 4 * HOUR), "waiting"),
    ]


def test_each_snapshot_names_the_one_before(indexed: Indexed, store: Store, midnight: int) -> None:
    clock = Clock(midnight - 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()
    clock.now = midnight + 2 * HOUR
    office.desk.make_due_snapshots()

    newest_first = [row for row in office.desk.snapshots()["snapshots"] if row["manifest_hash"]]
    previous = [json.loads((Path(row["path"]) / "manifest.json").read_text())["previous"] for row in newest_first]

    assert previous == [*(row["manifest_hash"] for row in newest_first[1:]), None]


def test_a_slot_waits_until_the_chains_have_passed_it(indexed: Indexed, store: Store) -> None:
    """A snapshot of a time that a chain has not reached would be of another time."""
    last = int(recorded()[0].blocks[recorded()[0].last]["timestamp"], 16)
    clock = Clock(last + 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()
    ((slot, _),) = office.ledger()

    clock.now += 2 * HOUR
    office.desk.make_due_snapshots()

    assert office.ledger()[0] == (slot, "overdue")


def test_a_slot_waits_a_while_for_nodes_and_then_says_what_they_did_not(
    indexed: Indexed, store: Store, midnight: int
) -> None:
    clock = Clock(midnight - 10)
    office = Office(indexed.folder, store, clock, "every 1h", rpc=("http://127.0.0.1:9/",))
    office.desk.make_due_snapshots()

    clock.now = midnight + 30
    with pytest.raises(ChainError):
        office.desk.make_due_snapshots()
    waiting = office.ledger()[0]
    clock.now = midnight + LATE_S + 1
    office.desk.make_due_snapshots()

    assert (waiting, office.ledger()[0]) == ((moment(midnight), "failed"), (moment(midnight), "late"))
    (made,) = (row for row in office.desk.snapshots()["snapshots"] if row["path"])
    outcomes = pq.read_table(Path(made["path"]) / "totals.parquet")["outcome"].to_pylist()
    assert set(outcomes) == {"unanswered"}


def test_a_slot_waits_until_its_blocks_are_final(indexed: Indexed, store: Store, crash: int) -> None:
    """A snapshot of a block that the chain may still leave would be of nothing."""
    clock = Clock(crash - 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()

    clock.now = crash + 30
    office.desk.make_due_snapshots()

    assert office.ledger()[0] == (moment(crash), "waiting")


def test_a_slot_that_fails_holds_up_no_other(indexed: Indexed, store: Store, midnight: int) -> None:
    clock = Clock(midnight - 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()
    (office.settings.snapshot.folder / snapshot_id(midnight)).mkdir(parents=True)

    clock.now = midnight + HOUR
    with pytest.raises(SnapshotExists):
        office.desk.make_due_snapshots()

    assert [state for _, state in office.ledger()] == ["failed", "done", "waiting"]


def test_a_slot_before_anything_was_stored_is_missed(indexed: Indexed, store: Store) -> None:
    clock = Clock(HOUR - 10)
    office = Office(indexed.folder, store, clock, "every 1h")
    office.desk.make_due_snapshots()

    clock.now = HOUR
    office.desk.make_due_snapshots()

    assert office.ledger()[0] == (moment(HOUR), "missed")


def test_a_changed_schedule_leaves_no_slot_open(indexed: Indexed, store: Store, midnight: int) -> None:
    clock = Clock(midnight - 10)
    Office(indexed.folder, store, clock, "every 1h").desk.make_due_snapshots()

    office = Office(indexed.folder, store, clock, "every 2h")
    office.desk.make_due_snapshots()

    assert [(row["schedule"], row["state"]) for row in office.desk.snapshots()["snapshots"]] == [
        ("every 2h", "waiting")
    ]


def test_a_snapshot_on_request_can_be_verified_anywhere_and_tells_a_changed_byte(
    indexed: Indexed, tmp_path: Path
) -> None:
    made = json.loads(crossmargin(indexed.folder, "snapshot", "create", "--json").stdout)
    again = json.loads(crossmargin(indexed.folder, "snapshot", "create", "--json").stdout)
    folder = Path(made["path"])

    intact = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--recompute")
    by_name = crossmargin(indexed.folder, "snapshot", "verify", folder.name, "--json")
    parquet = next(folder.glob("*.parquet"))
    body = bytearray(parquet.read_bytes())
    body[len(body) // 2] ^= 1
    parquet.write_bytes(body)
    changed = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--json")

    assert made["manifest_hash"] == again["manifest_hash"]
    assert (intact.returncode, by_name.returncode) == (0, 0)
    assert json.loads(by_name.stdout)["manifest_hash"] == made["manifest_hash"]
    assert changed.returncode == 4
    assert parquet.name in json.loads(changed.stderr)["error"]["message"]


def test_a_snapshot_on_request_is_of_the_moment_that_was_asked_for_and_not_of_the_last_block_before(
    indexed: Indexed, store: Store, midnight: int
) -> None:
    """Ages count up to that moment, so that two moments between the same blocks are two snapshots."""
    desk = Office(indexed.folder, store, Clock(midnight), "every 1h", room=indexed.folder / "snapshots").desk
    last = max(block for block in blocks_of_chains() if block <= midnight)
    made = [desk.create_snapshot(f"@{time}") for time in (last + 1, last + 2, last + 2)]

    assert [each["slot_time"] for each in made] == [moment(last + 1), moment(last + 2), moment(last + 2)]
    assert made[0]["manifest_hash"] != made[1]["manifest_hash"] == made[2]["manifest_hash"]
    assert made[0]["cut"] == made[1]["cut"]


def test_a_snapshot_whose_folder_is_gone_is_made_again_as_it_was_or_not_at_all(
    indexed: Indexed, store: Store, midnight: int
) -> None:
    office = Office(indexed.folder, store, Clock(midnight), "every 1h", room=indexed.folder / "snapshots")
    made = office.desk.create_snapshot(f"@{midnight}")
    folder = Path(made["path"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    shutil.rmtree(folder)
    again = office.desk.create_snapshot(f"@{midnight}")
    assert again["manifest_hash"] == made["manifest_hash"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    shutil.rmtree(folder)
    Keyring(office.settings.snapshot.keys).rotate(midnight)
    with pytest.raises(SnapshotExists, match=f"was made before with the manifest {made['manifest_hash']}"):
        office.desk.create_snapshot(f"@{midnight}")
    assert not folder.exists()


def blocks_of_chains() -> Iterator[int]:
    """The times of all recorded blocks."""
    for recording in recorded():
        yield from (int(block["timestamp"], 16) for block in recording.blocks.values())


def test_snapshots_are_signed_chained_witnessed_and_proven(
    indexed: Indexed, store: Store, midnight: int, tmp_path: Path
) -> None:
    clock = Clock(midnight - 10)
    office = Office(indexed.folder, store, clock, "every 1h", room=indexed.folder / "snapshots")
    office.desk.make_due_snapshots()
    clock.now = midnight + HOUR
    office.desk.make_due_snapshots()
    folder = office.settings.snapshot.folder
    (first, last) = sorted(each for each in folder.iterdir() if each.is_dir())[-2:]
    keyring = Keyring(office.settings.snapshot.keys)
    key = keyring.history()[0]["key"]

    chained = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--chain", "--key", key, "--json")
    witness = json.loads(crossmargin(tmp_path, "liabilities", "key", "witness.pem", "--json").stdout)["key"]
    signed = crossmargin(tmp_path, "snapshot", "witness", str(first), "--key", "witness.pem", "--json")
    seen = [
        crossmargin(tmp_path, "snapshot", "verify", str(each), "--witness", witness).returncode
        for each in (first, last)
    ]
    proof = crossmargin(tmp_path, "snapshot", "prove", str(first), "stretched")
    (tmp_path / "proof.json").write_text(proof.stdout)
    script = [
        sys.executable,
        str(first / "verify.py"),
        str(first),
        "--key",
        key,
        "--proof",
        str(tmp_path / "proof.json"),
    ]

    assert chained.returncode == 0, chained.stderr
    assert [item["notes"][-1][:11] for item in json.loads(chained.stdout)["snapshots"]][-1] == "nobody else"
    assert (signed.returncode, seen) == (0, [0, 4])
    assert [json.loads(unit["unit"])["venue_id"] for unit in json.loads(proof.stdout)["units"]]
    assert subprocess.run(script, capture_output=True, check=False).returncode == 0
    assert crossmargin(tmp_path, "snapshot", "prove", str(first), "nobody").returncode == 2


def test_keys_are_for_their_owner_alone_and_follow_each_other(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    first = keyring.signer(1_700_000_000)
    rotated = keyring.rotate(1_700_000_100)

    assert keyring.signer(1_700_000_099).key == first.key
    assert keyring.signer(1_700_000_100).key == rotated[1]["key"] != first.key
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*.pem")} == {0o600}
    with pytest.raises(UsageError, match="must begin later"):
        keyring.rotate(1_700_000_100)
    (tmp_path / "keys" / f"{first.key[:16]}.pem").chmod(0o640)
    with pytest.raises(UsageError, match="can be read by others"):
        keyring.signer(1_700_000_000)
    (tmp_path / "keys" / f"{first.key[:16]}.pem").unlink()
    with pytest.raises(UsageError, match="is not there"):
        keyring.signer(1_700_000_000)
    (tmp_path / "keys" / "history.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be relied on"):
        keyring.history()


def test_the_service_makes_scheduled_snapshots_and_shows_them(indexed: Indexed) -> None:
    """The recorded chains stand still since 2025; a slot of now is made once their heads were seen well after it."""
    path = indexed.folder / CONFIGURATION
    path.write_text(path.read_text().replace("[snapshot]", '[snapshot]\nschedule = "every 1m"'))

    with service(indexed.folder, "run") as (url, _):
        until(lambda: json.loads(get(url + "/v1/snapshots").body)["snapshots"] != [])
        (row,) = json.loads(get(url + "/v1/snapshots").body)["snapshots"]
        made = crossmargin(indexed.folder, "snapshot", "create", "--json")
        metrics = get(url + "/metrics").body

    assert row["state"] == "waiting"
    assert json.loads(made.stdout)["state"] == "done"
    assert "crossmargin_snapshot_last_success_timestamp_seconds 1." in metrics
