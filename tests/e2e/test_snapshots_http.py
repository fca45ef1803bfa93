"""Snapshots over HTTP: whoever may read opens, proves, compares, checks and asks them, and reaches nothing else."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from crossmargin.errors import Busy, TooSlow
from crossmargin.verification import Verification
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.support.hermes import GUARDIANS, OTHERS
from tests.support.recorded import CONFIGURATION, crossmargin, service
from tests.support.vaas import BRIDGE, HOME, NORTH, SOUTH, USD, evidence, row

SENT = 1_736_467_200
"""2025-01-10T00:00:00Z"""

Made = tuple[str, Path, list[str]]


@pytest.fixture(scope="module")
def made(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A service over two snapshots; gives its address, the folder of snapshots and their names, the older first."""
    folder = tmp_path_factory.mktemp("http") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    lines = [
        json.loads(crossmargin(folder, "snapshot", "create", *at, "--json").stdout)
        for at in (["--at", "2025-01-13T00:00:00Z"], [])
    ]
    key = json.loads(crossmargin(folder, "keys", "api", "create", "desk", "--scope", "sql", "--json").stdout)["key"]
    (folder / "key").write_text(key)
    with service(folder, "serve") as (url, _):
        yield url, Path(lines[0]["path"]).parent, [line["snapshot"] for line in lines]


def body(url: str, **more: Any) -> Any:
    answer = get(url, **more)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def asked(url: str, question: object, **headers: str) -> Any:
    return get(url, body=json.dumps(question).encode(), headers=headers)


def test_list_manifest_files_and_proof_are_those_of_the_folder(made: Made, tmp_path: Path) -> None:
    url, folder, names = made
    assert {line["snapshot"] for line in body(url + "/v1/snapshots")["snapshots"]} == set(names)
    shown = body(f"{url}/v1/snapshots/{names[0]}")
    assert (
        shown["manifest_hash"]
        == f"sha256:{hashlib.sha256((folder / names[0] / 'manifest.json').read_bytes()).hexdigest()}"
    )

    copy = tmp_path / names[0]
    copy.mkdir()
    for file in (*shown["manifest"]["files"], "manifest.json", "signature.json"):
        with_bytes = subprocess.run(
            [sys.executable, "-c", FETCH, f"{url}/v1/snapshots/{names[0]}/files/{file}"],
            capture_output=True,
            check=True,
        )
        (copy / file).write_bytes(with_bytes.stdout)
    proof = get(f"{url}/v1/snapshots/{names[0]}/proof/stretched")
    (tmp_path / "proof.json").write_text(proof.body)
    script = [sys.executable, str(folder / names[0] / "verify.py"), str(copy), "--proof", str(tmp_path / "proof.json")]

    assert subprocess.run(script, capture_output=True, check=False).returncode == 0
    assert get(f"{url}/v1/snapshots/{names[0]}/proof/nobody").status == 404


FETCH = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())"


def test_nothing_but_snapshots_and_their_files_is_reached(made: Made) -> None:
    url, folder, names = made
    elsewhere = ["..", ".", "/etc", str(folder), f"{names[0]}/..", "data", "..%00", "x" * 100]
    for name in elsewhere:
        for route in ("", "/files/manifest.json", "/proof/stretched", f"/diff/{names[0]}"):
            assert get(f"{url}/v1/snapshots/{quote(name, safe='')}{route}").status in {400, 404}, (name, route)
    for file in ("../../keys", "..", "/etc/passwd", "manifest.json.bak", "witness-../x.json", "../crossmargin.toml"):
        assert get(f"{url}/v1/snapshots/{names[0]}/files/{quote(file, safe='')}").status in {400, 404}, file


def test_the_difference_is_that_of_the_command(made: Made) -> None:
    url, folder, names = made
    found = body(f"{url}/v1/snapshots/{names[0]}/diff/{names[1]}?limit=3")
    said = crossmargin(
        folder.parent, "snapshot", "diff", *(str(folder / name) for name in names), "--limit", "3", "--json"
    )
    assert said.stdout, said.stderr

    assert (found["same"], found["ledger_asked"]) == (False, True)
    assert found["sums"] == json.loads(said.stdout)["sums"] != []
    assert found["causes"]


def test_two_folders_are_compared_where_there_is_no_configuration(made: Made, tmp_path: Path) -> None:
    _, folder, names = made
    said = crossmargin(tmp_path, "snapshot", "diff", *(str(folder / name) for name in names), "--json")
    nowhere = crossmargin(tmp_path, "snapshot", "verify", str(tmp_path / "gone" / names[0]))

    assert json.loads(said.stdout)["ledger_asked"] is False
    assert (nowhere.returncode, "which is no folder" in nowhere.stderr) == (2, True)
    misnamed = crossmargin(
        tmp_path, "--config", "gone.toml", "snapshot", "diff", *(str(folder / name) for name in names)
    )
    assert (misnamed.returncode, "gone.toml" in misnamed.stderr) == (2, True)
    (tmp_path / "crossmargin.toml").write_text("[store\n")
    broken = crossmargin(tmp_path, "snapshot", "diff", *(str(folder / name) for name in names))
    assert (broken.returncode, "crossmargin.toml" in broken.stderr) == (2, True)


def test_sql_over_a_past_snapshot_names_its_hash_and_leads_nowhere_else(made: Made) -> None:
    url, folder, names = made
    key = (folder.parent / "key").read_text()
    desk, route = {"Authorization": f"Bearer {key}"}, f"{url}/v1/snapshots/{names[0]}/sql"
    answer = asked(route, {"query": "SELECT account, status FROM accounts ORDER BY ALL"}, **desk)
    rows = [json.loads(line) for line in (folder / names[0] / "accounts.ndjson").read_bytes().splitlines()]
    shown = body(f"{url}/v1/snapshots/{names[0]}")["manifest_hash"]

    assert answer.status == 200, answer.body
    said = json.loads(answer.body)
    assert said["rows"] == sorted([row["account"], row["status"]] for row in rows)
    assert (said["snapshot"], said["manifest_hash"], answer.headers["X-Manifest-Hash"]) == (names[0], shown, shown)
    as_csv = asked(route, {"query": "SELECT count(*) AS n FROM positions"}, Accept="text/csv", **desk)
    assert (as_csv.headers["X-Manifest-Hash"], as_csv.body.splitlines()[0].strip('"')) == (shown, "n")
    for query in (
        f"SELECT * FROM read_text('{folder}/{names[0]}/manifest.json')",  # noqa: S608
        f"SELECT * FROM '{folder}/{names[1]}/units.parquet'",  # noqa: S608
        "SELECT * FROM 'units.parquet'",
        "SET enable_external_access = true",
        "COPY accounts TO 'x.csv'",
        "SELECT * FROM duckdb_settings()",
        "SELECT 1; SELECT 2",
    ):
        refused = asked(route, {"query": query}, **desk)
        assert (refused.status, json.loads(refused.body)["code"]) == (400, "query-refused"), query
        assert str(folder) not in refused.body
    assert asked(route, {"query": "SELECT 1"}).status == 401


def test_a_changed_byte_is_found_and_nothing_is_given_out_of_it(made: Made) -> None:
    url, folder, names = made
    route = f"{url}/v1/snapshots/{names[1]}"
    whole = json.loads(asked(route + "/verify", {"recompute": True}).body)
    stranger = json.loads(asked(route + "/verify", {"key": "00" * 32}).body)
    path = folder / names[1] / "marks.parquet"
    original = path.read_bytes()
    path.write_bytes(original[:100] + bytes([original[100] ^ 1]) + original[101:])
    try:
        changed = json.loads(asked(route + "/verify", {}).body)
        given = [get(f"{route}/files/marks.parquet").status, get(f"{route}/diff/{names[0]}").status]
    finally:
        path.write_bytes(original)

    assert (whole["intact"], whole["recomputed"], whole["faults"]) == (True, True, [])
    assert any("computed again" in note for note in whole["notes"])
    assert stranger["intact"] is False
    assert any("marks.parquet" in fault for fault in changed["faults"])
    assert given == [409, 409]


def believing(addresses: Sequence[bytes]) -> str:
    """Write whom a service is to believe about messages: these guardians, and the bridge of the tests."""
    listed = ", ".join(f'"0x{address.hex()}"' for address in addresses)
    tokens = f'tokens = [{{ via = "2/0x{HOME[12:].hex()}", asset = "{USD}" }}]'
    bridges = [(NORTH, 2, BRIDGE[12:], ""), (SOUTH, 24, bytes(20), tokens)]
    return f"[trust]\nguardian_sets = [{{ index = {GUARDIANS.number}, addresses = [{listed}] }}]\n" + "".join(
        f'[[bridge]]\nprotocol = "wormhole"\nchain = "{chain}"\nnumber = {number}\n'
        f'address = "0x{address.hex()}"\n{told}\n'
        for chain, number, address, told in bridges
    )


def test_a_service_believes_whom_its_configuration_trusts(indexed: Indexed) -> None:
    folder, file = indexed.folder, indexed.folder / CONFIGURATION
    before = file.read_text()
    file.write_text(before + believing(GUARDIANS.addresses))
    message = row(sent_at="2025-01-10T00:00:00Z", evidence=evidence(sent_at=SENT))
    with (folder / "sent.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, message)
        writer.writeheader()
        writer.writerow(message)
    taken = crossmargin(folder, "transfers", "import", "sent.csv", "--source", "desk", "--json")
    assert taken.returncode == 0, taken.stderr
    name = json.loads(crossmargin(folder, "snapshot", "create", "--json").stdout)["snapshot"]
    answers = []
    for addresses in (GUARDIANS.addresses, [key.public_key.to_canonical_address() for key in OTHERS]):
        file.write_text(before + believing(addresses))
        with service(folder, "serve") as (url, _):
            answers.append(json.loads(asked(f"{url}/v1/snapshots/{name}/verify", {}).body))
    believed, doubted = answers

    assert (believed["intact"], believed["faults"]) == (True, [])
    assert "messages of bridges on their way: 1 of grade B; they count nothing" in believed["notes"]
    assert not any("was not looked at" in note and "messages" in note for note in believed["notes"])
    assert doubted["intact"] is False
    assert "is not that of guardian 0" in doubted["faults"][0]


def test_one_is_verified_at_a_time_within_bounds(made: Made) -> None:
    _, folder, names = made
    place, question = folder / names[0], dict[str, Any](key=None, witnesses=[], recompute=False)
    busy = Verification()
    busy._running.acquire()
    with pytest.raises(Busy):
        busy.verify(place, **question)
    with pytest.raises(TooSlow, match="more of the machine"):
        Verification(most_bytes=64 << 20).verify(place, **question)
    with pytest.raises(TooSlow, match="longer than"):
        Verification(longest_s=0.05).verify(place, **question)
    assert Verification().verify(place, **question)["intact"]
