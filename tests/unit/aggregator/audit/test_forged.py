"""Snapshots by a forger who has the key: what he hashes and signs again is found and named, and nothing makes a verifier fail or wait."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator.audit import snapshot, verifier
from aggregator.audit.proofs import prove
from aggregator.audit.signing import Signer, witness_name, witness_text
from aggregator.audit.verifier import canonical, sha256
from tests.unit.aggregator.audit.test_verifier import (
    OPERATOR,
    WITNESS,
    chain,
    faults,
    folders,
    history,
    key_of,
    made,
    room,
)

__all__ = ["chain", "made", "room"]

WITNESSED = witness_name(key_of(WITNESS))
FORGED = ("manifest.json", "keys.json", "signature.json", "index.json", WITNESSED)
PUT: tuple[Any, ...] = (None, 0, -1, "x", [], {}, True, [[]], {"x": 1}, "2099-01-01T00:00:00Z", 2**53)
STEP = 7
"""Every so-many-th change is tried."""


@pytest.fixture
def folder(chain: Path) -> Path:
    """The first of a chain, with a witness."""
    found = folders(chain)[0]
    signed(found, json.loads((found / "manifest.json").read_bytes()))
    return found


def signed(folder: Path, manifest: Any) -> None:
    raw = canonical(manifest)
    (folder / "manifest.json").write_bytes(raw)
    (folder / "signature.json").write_bytes(Signer(OPERATOR, history()).signature_text(raw))
    (folder / WITNESSED).write_bytes(witness_text(WITNESS, sha256(raw)))


def hashed(folder: Path, *names: str) -> None:
    """Let a manifest say what files are by now, and sign it."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in names:
        raw = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": sha256(raw), "bytes": len(raw)}
    signed(folder, manifest)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from places(each, (*way, name))


def changes(document: Any) -> Iterator[Any]:
    """Put something else into each place, take it away, and add something to it."""
    for way in places(document):
        for put in (*PUT, "away", "more"):
            changed = copy.deepcopy(document)
            *above, last = (None, *way)
            within = changed
            for name in above[1:]:
                within = within[name]
            if last is None or put == "more":
                inner = changed if last is None else within[last]
                if isinstance(inner, dict):
                    inner["more"] = "said"
                elif isinstance(inner, list):
                    inner.append("more")
                else:
                    continue
            elif put == "away":
                del within[last]
            elif type(within[last]) is type(put) and within[last] == put:
                continue
            else:
                within[last] = put
            yield changed


@pytest.mark.parametrize("name", FORGED)
def test_whatever_is_said_otherwise_is_found_and_named(name: str, folder: Path, tmp_path: Path) -> None:
    assert snapshot.verify(folder, key=key_of(OPERATOR), recompute=True).faults == []
    document, tried = json.loads((folder / name).read_bytes()), 0
    for number, changed in enumerate(changes(document)):
        if number % STEP or (name == "manifest.json" and number % (3 * STEP)):
            continue
        try:
            text = canonical(changed)
        except verifier.Fault:
            continue
        forged = Path(shutil.copytree(folder, tmp_path / "forged" / str(number)))
        if name == "manifest.json":
            signed(forged, changed)
        else:
            (forged / name).write_bytes(text)
        if name in {"keys.json", "index.json"}:
            hashed(forged, name)

        alone = verifier.verify_chain([forged], key=key_of(OPERATOR))[forged.name]
        found = snapshot.verify(forged, key=key_of(OPERATOR), witnesses=[key_of(WITNESS)], recompute=True)

        assert found.faults, changed
        assert all(isinstance(fault, str) for fault in [*alone.faults, *found.faults])
        shutil.rmtree(forged)
        tried += 1
    assert tried > 2, name


@pytest.mark.parametrize("name", ["index.nodes", "index.owners", "index.json"])
def test_an_index_of_other_tables_is_found_once_all_is_computed_again(name: str, folder: Path) -> None:
    raw = bytearray((folder / name).read_bytes())
    digits = [at for at, each in enumerate(raw) if chr(each).isdigit()] or range(len(raw))
    raw[random.Random(name).choice(digits)] ^= 1
    (folder / name).write_bytes(raw)
    hashed(folder, name)

    assert snapshot.verify(folder, recompute=True).faults


def test_files_from_which_nothing_is_computed_are_noted(folder: Path) -> None:
    assert [note for note in snapshot.verify(folder, recompute=True).notes if "this version" in note] == []
    (folder / "report.html").write_text("<p>all is well</p>")
    (folder / "verify.py").write_text("print('nothing wrong was found')")
    (folder / "extra.txt").write_text("who knows")
    hashed(folder, "report.html", "verify.py", "extra.txt")

    found = snapshot.verify(folder, recompute=True)

    assert found.faults == []
    for name in ("report.html", "verify.py"):
        assert (
            f"{name} is not as this version writes it: believe the tables, and verifiers of somebody whom you trust"
            in (found.notes)
        )
    assert "extra.txt: nothing here knows what it is" in found.notes


def test_a_table_elsewhere_is_not_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["tables"]["../other/units"] = manifest["tables"]["units"]
    signed(folder, manifest)

    assert verifier.verify(folder).faults == ["manifest.json: ../other/units.ndjson is not both a file and a table"]


@pytest.mark.parametrize("name", ["manifest.json", "signature.json", "keys.json", WITNESSED])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)

    assert f"{name} is missing" in " ".join(verifier.verify(folder).faults)


@pytest.mark.parametrize("name", ["units.ndjson", "marks.ndjson", "inputs.ndjson", "units.parquet", "index.owners"])
def test_a_pipe_in_place_of_a_table_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)

    for found in (verifier.verify(folder), snapshot.verify(folder, recompute=True)):
        assert found.faults == [f"{name} is no regular file"]


def test_a_witness_of_any_size_is_not_read(folder: Path) -> None:
    with (folder / "witness-0123456789abcdef.json").open("wb") as file:
        file.truncate(1 << 40)

    assert verifier.verify(folder).faults == [
        "witness-0123456789abcdef.json has 1099511627776 bytes, which is more than such a file has"
    ]


def test_what_a_forger_calls_things_acts_on_no_terminal(folder: Path) -> None:
    (folder / "signature.json").write_bytes(
        canonical({"key": "x\n20990101: nothing wrong was found", "signature": "\x1b[2K"})
    )
    (folder / os.fsdecode(b"\xff\x1b[2J")).write_bytes(b"")
    script = [sys.executable, "-I", str(folder / "verify.py"), str(folder)]
    told, said = (subprocess.run([*script, *more], capture_output=True, check=False) for more in ((), ("--json",)))

    assert (told.returncode, said.returncode, told.stderr, said.stderr) == (4, 4, b"", b"")
    assert b"\x1b" not in told.stdout
    assert not [line for line in told.stdout.splitlines() if line.startswith(b"20990101")]
    assert json.loads(said.stdout)[folder.name]["faults"]


def proven(folder: Path, tmp_path: Path, proof: Any) -> list[str]:
    path = tmp_path / "proof.json"
    path.write_text(proof if isinstance(proof, str) else json.dumps(proof))
    return verifier.proof_faults(path, folder, verifier.verify(folder))


def test_a_proof_is_of_the_accounts_own_line_and_of_all_its_units(folder: Path, tmp_path: Path) -> None:
    proof = prove(folder, "acme")
    richer = copy.deepcopy(proof)
    richer["account"]["status"] = "no_debt"
    fewer, none, twice = (
        proof | {"units": proof["units"][1:]},
        proof | {"units": []},
        proof | {"units": proof["units"] * 2},
    )
    another = proof | {"manifest_hash": "sha256:0"}

    assert proven(folder, tmp_path, proof) == []
    assert proven(folder, tmp_path, richer) == ["the snapshot does not say of the account what the proof does"]
    for wrong in (fewer, none, twice):
        assert proven(folder, tmp_path, wrong) == [
            "the account has 3 units in the snapshot, and the proof does not have these"
        ]
    assert proven(folder, tmp_path, another) == ["the proof is of the snapshot sha256:0"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 900, '{"units":[1]}', '{"units":{"a":1}}', "\x00"])
def test_what_is_no_proof_is_said_to_be_none(text: str, folder: Path, tmp_path: Path) -> None:
    assert proven(folder, tmp_path, text)[0].startswith("proof.json is no proof")


def test_a_nested_proof_ends_no_process(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text("[" * 100_000)
    script = [sys.executable, "-I", str(folder / "verify.py"), str(folder), "--proof", str(tmp_path / "proof.json")]
    told = subprocess.run(script, capture_output=True, text=True, check=False)

    assert (told.returncode, told.stderr) == (4, "")
    assert "proof.json is no proof: RecursionError" in told.stdout


def test_a_sum_of_more_digits_than_anything_has_is_named(folder: Path) -> None:
    rows = [json.loads(raw) for raw in verifier.lines_of(folder, "positions")]
    rows[0]["amount_raw"] = "9" * 5_000
    (folder / "positions.ndjson").write_bytes(b"".join(canonical(row) + b"\n" for row in rows))
    hashed(folder, "positions.ndjson")

    assert "has the amount" in " ".join(faults(folder.parent))
