"""`haircuts challenge` and `validate`: what they print and write, and how they end."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.e2e.test_score import written
from tests.support.recorded import crossmargin
from tests.support.walks import walks


def test_the_pack_is_the_same_when_it_is_made_again_and_holds_on_a_walk(tmp_path: Path) -> None:
    files = [written(tmp_path, bars) for bars in walks("AB", 1400)]

    packs = []
    for name in ("one", "two"):
        done = crossmargin(tmp_path, "validate", *files, "--out", name, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        packs.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert packs[0] == packs[1]

    document = json.loads(packs[0]["validation.json"])
    assert document["holds"] is True
    assert {each["subject"] for each in document["verdicts"]} == {
        "A",
        "B",
        "all in equal parts",
        "A against B",
        "B against A",
    }
    assert set(document["reliability"]) == {"score", "1d", "7d"}
    assert len(packs[0]["validation.csv"].decode().splitlines()) == 1 + len(document["verdicts"])
    plots = [name for name in packs[0] if name.endswith(".svg")]
    assert len(plots) == 5 + 3
    for name in plots:
        ET.fromstring(packs[0][name].decode())  # noqa: S314 - we wrote it
        assert name in packs[0]["index.html"].decode()

    again = crossmargin(tmp_path, "validate", *files, "--out", "one")
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    few = crossmargin(tmp_path, "validate", written(tmp_path, walks("S", 100)[0]), "--out", "three")
    assert few.returncode == 2
    assert "more than 501 days" in few.stderr


def test_a_challenger_shows_its_card(tmp_path: Path) -> None:
    [bars] = walks("A", 1300)

    done = crossmargin(tmp_path, "haircuts", "challenge", written(tmp_path, bars), "--json")

    [card] = json.loads(done.stdout)["score_cards"]
    assert done.returncode == 4
    assert "730 days" in card["failed"]
    assert card["promoted"] is False
    assert "failed: 730 days" in crossmargin(tmp_path, "haircuts", "challenge", "A.csv").stdout.replace("\n", " ")
