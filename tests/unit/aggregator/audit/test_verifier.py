"""What the stand-alone verifier finds: every change to a snapshot, and every one to the chain of snapshots."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aggregator.audit import copies, verifier
from aggregator.audit.lines import KEYS
from aggregator.audit.manifest import Link
from aggregator.audit.proofs import NotThere, prove
from aggregator.audit.signing import Signer, first_entry, next_entry, witness_name, witness_text
from aggregator.audit.snapshot import write_snapshot
from aggregator.audit.verifier import EMPTY, Fault, Node, canonical, check_proof, described, joined, levels
from aggregator.book import Book
from chains.auditing import Controlled
from chains.model import AccountBytes
from chains.ports import Cover, Held, Outcome, Summed
from chains.proving import Proved, StateProof
from tests.support.lines import line
from tests.unit.aggregator.builders import OWNER, WETH
from tests.unit.aggregator.test_snapshot import book

DAY = 86_400
FIRST_SLOT = 1_700_000_100
OPERATOR, SUCCESSOR, STRANGER, WITNESS = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5))
TABLES = tuple(sorted(KEYS))
MUTATIONS = 1_000

CONTRACT = b"\x0c" * 20
SUPPLY = Summed("totalSupply", CONTRACT, WETH, 100, 101, 0, 1, "one lost to rounding", Outcome.WITHIN)
HELD = Held(CONTRACT, WETH, b"", 90, 0, 90, 0, "", Cover.COVERED)
UNPROVEN = StateProof(OWNER, CONTRACT, "", Proved.NO_LAYOUT, "who knows", b"", (), {}, ())

Mutate = Callable[[random.Random, Path], None]


def weighed(tokens: float = 1.0) -> Book:
    """A book with a row in every table."""
    found = Controlled(totals=(SUPPLY,), holdings=(HELD,), proofs=(UNPROVEN,))
    seen = {("toy-1", OWNER): AccountBytes(7, CONTRACT, 1, b"bytes", closed=False)}
    levels = {"toy-1": "proven", "toy-10": None}
    return replace(book(tokens), controls={"toy-1": found}, levels=levels, account_bytes=seen)


def history(*, rotated: bool = False) -> tuple[dict[str, Any], ...]:
    first = first_entry(OPERATOR, "2020-01-01T00:00:00Z")
    return (first, next_entry(OPERATOR, SUCCESSOR, "2023-11-16T00:00:00Z")) if rotated else (first,)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture
def made(room: Path) -> Path:
    """Three snapshots that follow each other, made once."""
    hashes: list[str] = []
    for number in [] if any(room.iterdir()) else range(3):
        link = Link(sequence=number + 1, previous=hashes[-1] if hashes else None)
        what, slot_time = weighed(1.0 + number), FIRST_SLOT + number * DAY
        _, written = write_snapshot(room, what, slot_time=slot_time, link=link, signer=Signer(OPERATOR, history()))
        hashes.append(written.hash)
    return room


@pytest.fixture
def chain(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "chain"))


def folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir())


def faults(root: Path, **asked: Any) -> list[str]:
    return [fault for each in verifier.verify_chain(folders(root), **asked).values() for fault in each.faults]


def key_of(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes_raw().hex()


def sealed(folder: Path, private: Ed25519PrivateKey = OPERATOR) -> None:
    """Hash and sign a changed snapshot again, so that it is consistent in itself."""
    content = json.loads((folder / "manifest.json").read_text())
    for name in content["files"]:
        raw = (folder / name).read_bytes()
        content["files"][name] = {"sha256": verifier.sha256(raw), "bytes": len(raw)}
    for name, terms in content["tables"].items():
        terms["rows"] = len(rows_of(folder, name))
    content["tree"] = described(levels(list(verifier.leaves_of(folder)))[-1][0])
    raw = canonical(content)
    (folder / "manifest.json").write_bytes(raw)
    (folder / "signature.json").write_bytes(Signer(private, history()).signature_text(raw))


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in verifier.lines_of(folder, name)]


def keep(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / f"{name}.ndjson").write_bytes(b"".join(map(line, rows)))


def test_no_line_of_a_snapshot_as_it_was_made_must_be_looked_at_alone(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table has all that tables have: of a million rows, reading each by itself takes minutes."""
    monkeypatch.setattr(verifier, "_tables", None)

    assert faults(chain) == []


def test_snapshots_as_they_were_made_are_intact(chain: Path) -> None:
    assert faults(chain, key=key_of(OPERATOR)) == []


# -- one change each --------------------------------------------------------------------------------------------------


def flipped(chance: random.Random, folder: Path) -> None:
    path = chance.choice([each for each in sorted(folder.iterdir()) if each.stat().st_size])
    raw = bytearray(path.read_bytes())
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)


def file_removed(chance: random.Random, folder: Path) -> None:
    chance.choice(sorted(folder.iterdir())).unlink()


def file_added(chance: random.Random, folder: Path) -> None:
    (folder / f"note-{chance.randrange(10**6)}.txt").write_text("hello")


def file_cut(chance: random.Random, folder: Path) -> None:
    path = chance.choice([each for each in sorted(folder.iterdir()) if each.stat().st_size > 1])
    path.write_bytes(path.read_bytes()[: chance.randrange(1, path.stat().st_size)])


def row_removed(chance: random.Random, folder: Path) -> None:
    name = chance.choice([name for name in TABLES if rows_of(folder, name)])
    rows = rows_of(folder, name)
    del rows[chance.randrange(len(rows))]
    keep(folder, name, rows)


def row_doubled(chance: random.Random, folder: Path) -> None:
    name = chance.choice([name for name in TABLES if rows_of(folder, name)])
    rows = rows_of(folder, name)
    number = chance.randrange(len(rows))
    keep(folder, name, rows[: number + 1] + rows[number:])


def reordered(chance: random.Random, folder: Path) -> None:
    name = chance.choice([name for name in TABLES if len(rows_of(folder, name)) > 1])
    rows = rows_of(folder, name)
    first, second = chance.sample(range(len(rows)), 2)
    rows[first], rows[second] = rows[second], rows[first]
    keep(folder, name, rows)


def value_changed(chance: random.Random, folder: Path) -> None:
    name = chance.choice([name for name in TABLES if rows_of(folder, name)])
    rows = rows_of(folder, name)
    row = chance.choice(rows)
    column = chance.choice(sorted(row))
    row[column] = f"{row[column]}0"
    keep(folder, name, rows)


def price_swapped(chance: random.Random, folder: Path) -> None:
    rows = rows_of(folder, "marks")
    first, second = chance.sample(rows, 2)
    first["mid_usd"], second["mid_usd"] = second["mid_usd"], f"{first['mid_usd']}1"
    keep(folder, "marks", rows)


def manifest_edited(chance: random.Random, folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    key = chance.choice(sorted(content))
    content[key] = {"tree": {"hash": "00", "sums": {}}}.get(key, f"{content[key]}x")
    (folder / "manifest.json").write_bytes(canonical(content))


def sum_moved(chance: random.Random, folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    sums = content["tree"]["sums"]
    key = chance.choice(sorted(sums))
    sums[key] = str(int(sums[key]) + chance.randrange(1, 1000))
    raw = canonical(content)
    (folder / "manifest.json").write_bytes(raw)
    (folder / "signature.json").write_bytes(Signer(OPERATOR, history()).signature_text(raw))


def spelled_otherwise(chance: random.Random, folder: Path) -> None:
    path = folder / chance.choice(["manifest.json", "signature.json", "keys.json"])
    path.write_text(json.dumps(json.loads(path.read_text()), indent=chance.randrange(1, 4)))


def signed_by_a_stranger(_: random.Random, folder: Path) -> None:
    sealed(folder, STRANGER)


def keys_replaced(_: random.Random, folder: Path) -> None:
    keys = (first_entry(STRANGER, "2020-01-01T00:00:00Z"),)
    (folder / "keys.json").write_bytes(canonical({"keys": list(keys)}))
    sealed(folder, STRANGER)


PLAIN: tuple[Mutate, ...] = (
    flipped,
    file_removed,
    file_added,
    file_cut,
    row_removed,
    row_doubled,
    reordered,
    value_changed,
    price_swapped,
    manifest_edited,
    sum_moved,
    spelled_otherwise,
    signed_by_a_stranger,
    keys_replaced,
)
"""Changes by somebody without the operator's key."""


def resigned(change: Mutate) -> Mutate:
    def changed(chance: random.Random, folder: Path) -> None:
        change(chance, folder)
        sealed(folder)

    changed.__name__ = f"resigned_{change.__name__}"
    return changed


def input_changed(chance: random.Random, folder: Path) -> None:
    """Change a number or a word somewhere in what the numbers rest on."""
    rows = rows_of(folder, "inputs")
    row = chance.choice(rows)
    words = list(re.finditer(r"[0-9]+|[a-z]{3,}", row["document"]))
    word = chance.choice(words)
    put = str(int(word[0]) + 1) if word[0].isdigit() else word[0][::-1] + "x"
    row["document"] = row["document"][: word.start()] + put + row["document"][word.end() :]
    keep(folder, "inputs", rows)


def account_bytes_changed(chance: random.Random, folder: Path) -> None:
    rows = rows_of(folder, "account_bytes")
    column = chance.choice(["slot", "owner", "bytes", "sha256", "closed"])
    row = chance.choice(rows)
    row[column] = {"slot": 8, "bytes": 6, "closed": True}.get(column, f"{str(row[column])[:-1]}z")
    keep(folder, "account_bytes", rows)


BY_THE_OPERATOR: tuple[Mutate, ...] = tuple(
    map(resigned, (row_removed, price_swapped, value_changed, input_changed, account_bytes_changed))
)
"""Changes by whoever has the key, consistent in themselves: a later snapshot or a witness must tell."""


def sound_by_copies_alone(folder: Path) -> bool:
    """Whether copies say that tables are as they must be, and their lines do not."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return copies.is_sound(folder, manifest, starmap) and not verifier.is_sound(folder, manifest, starmap)


@pytest.mark.parametrize("seed", range(MUTATIONS // 20))
def test_no_change_goes_unnoticed(made: Path, tmp_path: Path, seed: int) -> None:
    """Twenty changes each, of any kind and in any snapshot; the last has a witness, the others those that follow."""
    chance = random.Random(seed)
    for number in range(20):
        root = Path(shutil.copytree(made, tmp_path / str(number)))
        change = chance.choice(PLAIN + BY_THE_OPERATOR * 2)
        last, forged = folders(root)[-1], chance.choice(folders(root))
        stood = verifier.sha256((last / "manifest.json").read_bytes())
        if change in BY_THE_OPERATOR:
            (last / witness_name(key_of(WITNESS))).write_bytes(witness_text(WITNESS, stood))
        try:
            change(chance, forged)
        except (Fault, KeyError):
            continue  # a change that even its forger cannot make consistent

        found = faults(root, key=key_of(OPERATOR))

        assert found, change.__name__
        assert not sound_by_copies_alone(forged), change.__name__
        if change in BY_THE_OPERATOR and not verifier.verify(forged, key=key_of(OPERATOR)).faults[forged == last :]:
            tells = "did not sign the hash of this manifest" if forged == last else "it follows sha256:"
            assert [fault for fault in found if tells in fault], (change.__name__, found)


def test_what_the_operator_writes_anew_is_told_by_the_next_snapshot(chain: Path) -> None:
    _, middle, last = folders(chain)
    resigned(row_removed)(random.Random(1), middle)

    found = verifier.verify_chain(folders(chain), key=key_of(OPERATOR))

    assert not found[middle.name].faults
    (fault,) = found[last.name].faults
    assert fault.startswith("it follows sha256:")


def test_what_the_operator_writes_anew_in_the_last_is_told_by_a_witness(chain: Path) -> None:
    last = folders(chain)[-1]
    stood = verifier.verify(last)
    name = witness_name(key_of(WITNESS))
    (last / name).write_bytes(witness_text(WITNESS, stood.hash))
    assert verifier.verify(last, witnesses=[key_of(WITNESS)]).faults == []
    assert verifier.verify(last, witnesses=[key_of(WITNESS)]).notes[0].startswith("no key was given")

    resigned(price_swapped)(random.Random(1), last)

    assert verifier.verify(last).faults == [f"{name}: {key_of(WITNESS)} did not sign the hash of this manifest"]
    (last / name).unlink()
    assert verifier.verify(last).faults == []
    assert any("could write the past anew" in note for note in verifier.verify(last).notes)
    assert verifier.verify(last, witnesses=[key_of(WITNESS)]).faults == [
        f"the witness {key_of(WITNESS)} did not sign this snapshot"
    ]


def test_a_snapshot_that_is_missing_from_the_chain_is_missed(chain: Path) -> None:
    first, middle, last = folders(chain)
    shutil.rmtree(middle)
    assert faults(chain) == ["it is number 3 of its chain, and 2 is not here"]
    shutil.rmtree(first)
    assert verifier.verify_chain([last])[last.name].notes[-1] == "what comes before number 3 of its chain is not here"


# -- keys -------------------------------------------------------------------------------------------------------------


def rotated(folder: Path, private: Ed25519PrivateKey, keys: tuple[dict[str, Any], ...]) -> list[str]:
    (folder / "keys.json").write_bytes(canonical({"keys": list(keys)}))
    sealed(folder, private)
    return verifier.verify(folder, key=key_of(OPERATOR)).faults


def test_a_key_signs_until_another_replaces_it(chain: Path) -> None:
    first, _, last = folders(chain)

    assert rotated(first, OPERATOR, history(rotated=True)) == []
    assert rotated(last, SUCCESSOR, history(rotated=True)) == []
    (fault,) = rotated(last, OPERATOR, history(rotated=True))
    assert fault.startswith(f"signature.json: {key_of(OPERATOR)} was not the key in force at 2023-11-16T22:15:00Z")


@pytest.mark.parametrize("field", ["key", "from", "replaces", "signature", "consent"])
def test_a_key_that_the_one_before_did_not_name_is_none(chain: Path, field: str) -> None:
    first, second = history(rotated=True)
    other = next_entry(STRANGER, WITNESS, "2023-11-15T12:00:00Z")

    assert rotated(folders(chain)[-1], SUCCESSOR, (first, second | {field: other[field]}))


def test_a_trusted_key_that_is_none_of_the_operators_is_said(chain: Path) -> None:
    (fault,) = verifier.verify(folders(chain)[0], key=key_of(STRANGER)).faults

    assert fault == f"keys.json: the key that is trusted, {key_of(STRANGER)}, is none of the operator's"


# -- proofs -----------------------------------------------------------------------------------------------------------


def test_an_account_is_proven_by_its_units(chain: Path) -> None:
    folder = folders(chain)[0]
    tree = json.loads((folder / "manifest.json").read_text())["tree"]

    proof = prove(folder, "acme")

    assert len(proof["units"]) == 3
    assert [fault for unit in proof["units"] for fault in check_proof(unit, tree)] == []
    with pytest.raises(NotThere, match="has no account nobody"):
        prove(folder, "nobody")


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_proof_proves_nothing(chain: Path, seed: int) -> None:
    chance = random.Random(seed)
    folder = folders(chain)[0]
    proof = prove(folder, "acme")
    unit = chance.choice([each for each in proof["units"] if each["path"]])
    match seed % 5:
        case 0:
            unit["unit"] = unit["unit"].replace('"status":"', '"status":"un', 1)
        case 1:
            unit["positions"] = unit["positions"][:-1] if unit["positions"] else ["{}"]
        case 2:
            step = chance.choice(unit["path"])
            step["sums"]["units"] = str(int(step["sums"]["units"]) + 1)
        case 3:
            step = chance.choice(unit["path"])
            step["side"] = "left" if step["side"] == "right" else "right"
        case _:
            unit["path"] = unit["path"][:-1]

    assert check_proof(unit, proof["tree"])


@given(st.integers(0, 40))
def test_the_root_has_the_sums_of_all_leaves(count: int) -> None:
    leaves = [
        Node(bytes([number]) * 32, {"units": 1, "unknown": number % 2, "x|supply": number}) for number in range(count)
    ]

    root = levels(leaves)[-1][0]

    if count:
        assert root.sums == {"units": count, "unknown": count // 2, "x|supply": count * (count - 1) // 2}
    else:
        assert root == EMPTY


def test_sums_are_a_part_of_what_is_hashed() -> None:
    left, right = Node(b"a" * 32, {"units": 1, "unknown": 0}), Node(b"b" * 32, {"units": 1, "unknown": 0})
    moved = Node(b"a" * 32, {"units": 2, "unknown": 0})

    assert joined(left, right).hash != joined(moved, right).hash
    assert joined(left, right).hash != joined(right, left).hash


# -- canonical JSON ---------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_is_that_of_the_library(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [0.5, 2**53, {"x": [1.0]}, b"raw"])
def test_what_other_readers_would_round_is_refused(value: object) -> None:
    with pytest.raises(Fault):
        canonical(value)


# -- by itself --------------------------------------------------------------------------------------------------------


def test_the_script_in_the_snapshot_runs_by_itself(chain: Path, tmp_path: Path) -> None:
    folder = folders(chain)[0]
    (tmp_path / "proof.json").write_text(json.dumps(prove(folder, "acme")))
    script = [sys.executable, "-I", "-W", "error", str(folder / "verify.py")]

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*script, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    assert run(str(folder), "--key", key_of(OPERATOR), "--proof", "proof.json")[0] == 0
    assert run(str(chain), "--chain")[0] == 0
    code, told = run(str(folder), "--key", key_of(STRANGER))
    assert (code, "WRONG" in told) == (4, True)
    assert json.loads(run(str(chain), "--chain", "--json")[1])[folder.name]["faults"] == []
    flipped(random.Random(3), folders(chain)[1])
    assert run(str(chain), "--chain")[0] == 4
    assert run(str(tmp_path / "none"))[0] == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format":"crossmargin-snapshot-1"}', "\xff", '{"format":"crossmargin-snapshot-2"}']
)
def test_a_manifest_that_is_none_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))

    assert verifier.verify(tmp_path).faults[0].startswith("manifest.json")


def test_a_manifest_that_names_files_elsewhere_is_refused(chain: Path) -> None:
    folder = folders(chain)[0]
    content = json.loads((folder / "manifest.json").read_text())
    content["files"]["../x"] = {"sha256": "sha256:0", "bytes": 1}
    (folder / "manifest.json").write_bytes(canonical(content))

    assert verifier.verify(folder).faults[0] == "manifest.json names '../x', which is outside of its folder"
