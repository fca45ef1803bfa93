"""Messages of bridges in a snapshot: verified alone and with the rest, by whom the verifier names; any change to them is found."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest

from aggregator.audit import message_verifier
from aggregator.audit.message_verifier import NOBODY, Trust, trust_in
from aggregator.audit.messages import written
from aggregator.audit.snapshot import REPORT, verify
from crossmargin.transfers import Transfers
from crossmargin.verification import Verification
from crossmargin.verification_worker import Question, checks
from indexer.store import MEMORY, Store, TransferRow
from tests.support.hermes import GUARDIANS, OTHERS
from tests.support.lines import line
from tests.support.vaas import OWNER, SAID, SENT_AT, SOUTH, TRUST, evidence, row
from tests.unit.aggregator.test_snapshot import book, written_in

STRANGERS = Trust({GUARDIANS.number: ([key.public_key.to_canonical_address() for key in OTHERS], None)}, TRUST.bridges)
UNPROVEN = SAID | {"message": "2/ab/8"}


def sent() -> tuple[TransferRow, ...]:
    with Store.open(MEMORY) as store:
        Transfers(store, lambda: SENT_AT + 60, TRUST).take_in({"source": "desk", "rows": [row(), UNPROVEN]})
        with store.reading() as reader:
            return tuple(reader.transfers())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written_in(tmp_path, replace(book(), sent=sent()))[0]


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in (folder / "messages.ndjson").read_bytes().splitlines()]


def changed(folder: Path, **said: object) -> list[str]:
    first, *rest = rows(folder)
    (folder / "messages.ndjson").write_bytes(b"".join(map(line, [first | said, *rest])))
    return message_verifier.checked(folder, TRUST).faults


def test_messages_are_verified_alone_and_with_the_rest(folder: Path, tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(written(TRUST))
    script = [sys.executable, "-I", "-W", "error", str(folder / "verify_messages.py"), str(folder), "--json"]
    alone = subprocess.run([*script, "--trust", str(trust)], capture_output=True, text=True, check=False, cwd=tmp_path)
    found = verify(folder, trust=TRUST)

    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert found.faults == []
    assert json.loads(alone.stdout)["notes"] == [
        "messages of bridges on their way: 1 of grade B, 1 of grade D; they count nothing"
    ]
    assert set(json.loads(alone.stdout)["notes"]) <= set(found.notes)


def test_without_a_name_it_is_said_that_nobody_looked(folder: Path) -> None:
    found = message_verifier.checked(folder)

    assert found.faults == []
    assert found.notes[-1] == "who signed or accepted 1 messages was not looked at: nobody was named"


def test_the_report_shows_each_message_with_how_sure_it_is(folder: Path, tmp_path: Path) -> None:
    shown = (folder / REPORT).read_text(encoding="utf-8")
    _, _, section = shown.partition("<h2>Messages between chains</h2>")
    section = section.partition("<h2>")[0]
    body = section.partition("<tbody>")[2]

    assert "1 graded B, 1 graded D" in section
    assert body.count("<tr>") == 2
    first, second = body.split("</tr>")[:2]
    proven, unproven = sorted(rows(folder), key=lambda each: each["grade"])
    for text, said in ((first, unproven), (second, proven)):
        assert all(str(said[name]) in text for name in ("protocol", "source_chain", "asset", "amount_raw", "state"))
    assert escape(unproven["checked"]) in first
    none = (written_in(tmp_path / "none")[0] / REPORT).read_text(encoding="utf-8")
    assert "None was known to be on its way at the cut." in none


def test_strangers_are_named_in_the_process_that_a_server_asks(folder: Path) -> None:
    right = Verification(trust=TRUST).verify(folder, key=None, witnesses=(), recompute=False)
    wrong = Verification(trust=STRANGERS).verify(folder, key=None, witnesses=(), recompute=False)

    assert right["intact"]
    assert not wrong["intact"]
    assert "is not that of guardian 0" in wrong["faults"][0]


def test_strangers_are_named_on_the_page(folder: Path) -> None:
    for trust, outcome in ((TRUST, "right"), (STRANGERS, "wrong")):
        question = Question(folder=str(folder), trust=written(trust))
        assert {each["code"]: each["outcome"] for each in checks(question)}["tables"] == outcome


@pytest.mark.parametrize(
    "said",
    [
        {"amount_raw": "1500000001"},
        {"amount_raw": "1_500_000_000"},
        {"recipient": f"{SOUTH}:0x{'22' * 20}"},
        {"asset": f"{SOUTH}/erc20:0x{'22' * 20}"},
        {"decimals": 9},
        {"sent_at": SENT_AT + 1},
        {"message": "2/ab/9"},
        {"grade": "A"},
        {"evidence": None},
        {"evidence": "{}"},
        {"evidence": evidence(amount=1)},
        {"evidence": evidence(keys=OTHERS)},
        {"evidence": evidence(finality=200)},
    ],
)
def test_every_change_to_a_message_is_found(folder: Path, said: dict[str, Any]) -> None:
    assert changed(folder) == []
    assert len(changed(folder, **said)) == 1


def test_whom_to_believe_is_read_as_it_was_written() -> None:
    assert trust_in(written(TRUST)) == TRUST
    assert trust_in("[]") == NOBODY
    assert OWNER in SAID["recipient"]


def test_a_report_of_more_roots_than_are_followed_is_refused() -> None:
    """Each root is read out of all that stands behind it: 30,000 of them would be a thousand million copies of words."""
    word = (64).to_bytes(32)
    several = (30_000).to_bytes(32) + bytes(32 * 30_000)

    with pytest.raises(message_verifier.Fault, match="commits 30000 roots, which is more than is followed"):
        message_verifier._roots(word + word + several)
