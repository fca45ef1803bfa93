"""`crossmargin init` at a terminal, through a real pseudo-terminal: answers, refusals, cancelling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from crossmargin.settings import load
from tests.support.product import crossmargin
from tests.support.terminal import Terminal, terminal

CANARY = "canary-7d1f"
CTRL_C, CTRL_D = "\x03", "\x04"


def conversed(shown: Terminal, answers: Sequence[tuple[str, str]]) -> None:
    for question, answer in answers:
        shown.until(question)
        shown.type(answer)


def test_answers_become_a_configuration_that_loads(tmp_path: Path) -> None:
    with terminal(tmp_path, "init") as shown:
        conversed(
            shown,
            [
                ("chains (", "base, ethereum\n"),
                ("protocols (", "aave-v3\n"),
                ("node of ethereum", "\n"),
                ("node of base", "http://127.0.0.1:8545\n"),
                ("file to write [crossmargin.toml]", "\n"),
                ("folder of the data [data]", "kept\n"),
            ],
        )
        code = shown.end()

    assert code == 0, shown.seen
    assert (
        "next: set ETHEREUM_RPC_URL, then run crossmargin check, then crossmargin doctor, then crossmargin index"
        in shown.seen
    )
    settings = load(tmp_path / "crossmargin.toml", {"ETHEREUM_RPC_URL": "https://node.example"})
    assert {chain.spec.name: chain.spec.rpc for chain in settings.chains} == {
        "ethereum": ("https://node.example",),
        "base": ("http://127.0.0.1:8545",),
    }
    assert settings.store == tmp_path / "kept" / "crossmargin.duckdb"
    assert {venue.protocol for venue in settings.venues} == {"aave-v3"}


def test_the_same_answers_as_options_write_the_same(tmp_path: Path) -> None:
    with terminal(tmp_path, "init") as shown:
        conversed(
            shown,
            [
                ("chains (", "gnosis\n"),
                ("protocols (", "\n"),
                ("node of gnosis", "OUR_NODE\n"),
                ("file to write", "asked.toml\n"),
                ("folder of the data", "kept\n"),
            ],
        )
        assert shown.end() == 0, shown.seen
    assert "then run crossmargin --config asked.toml check" in shown.seen
    done = crossmargin(
        tmp_path,
        *(
            "init",
            "--chain",
            "gnosis",
            "--node",
            "gnosis=OUR_NODE",
            "--data",
            "kept",
            "--output",
            "said.toml",
            "--json",
        ),
    )

    assert json.loads(done.stdout)["variables"] == ["OUR_NODE"], done.stderr
    assert (tmp_path / "said.toml").read_text() == (tmp_path / "asked.toml").read_text()


def test_what_cannot_be_taken_is_said_at_once_and_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "crossmargin.toml").write_text("mine")
    (tmp_path / "file").write_text("")
    with terminal(tmp_path, "init") as shown:
        conversed(
            shown,
            [
                ("chains (", "bose\n"),
                ('no deployments on chain "bose" are known', "\n"),
                ("name at least one chain", "gnosis\n"),
                ("protocols (", "morpho-blue\n"),
                ("none of these protocols is known on gnosis", "all\n"),
                ("node of gnosis", f"https://node.example/v2/{CANARY}\n"),
                ("what may hold a key does not go into the file", "\n"),
                ("file to write", "\n"),
                ("crossmargin.toml is there already", "other.toml\n"),
                ("folder of the data", "file/inside\n"),
                ("is no folder that can be written to", "\n"),
            ],
        )
        code = shown.end()

    assert code == 0, shown.seen
    assert shown.seen.count(CANARY) == 1  # as the terminal itself echoed it
    assert CANARY not in (tmp_path / "other.toml").read_text()
    assert (tmp_path / "crossmargin.toml").read_text() == "mine"


@pytest.mark.parametrize("typed", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_cancelling_writes_nothing(tmp_path: Path, typed: str) -> None:
    with terminal(tmp_path, "init") as shown:
        conversed(shown, [("chains (", "base\n"), ("protocols (", "\n"), ("node of base", typed)])
        code = shown.end()

    assert code == 130
    assert "cancelled; nothing was written" in shown.seen
    assert "Traceback" not in shown.seen
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    done = crossmargin(tmp_path, "init")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--chain NAME is missing" in done.stderr


@pytest.mark.parametrize(
    "where",
    [
        f"https://user:{CANARY}@127.0.0.1",
        f"http://127.0.0.1/{CANARY}",
        f"http://127.0.0.1?key={CANARY}",
        f"http://127.0.0.1#{CANARY}",
        f"https://{CANARY}.node.example",
        f"ftp://127.0.0.1/{CANARY}",
        f"http://[{CANARY}",
    ],
)
def test_an_address_that_may_hold_a_key_is_refused_and_not_repeated(tmp_path: Path, where: str) -> None:
    done = crossmargin(tmp_path, "init", "--chain", "base", "--node", f"base={where}")

    assert done.returncode == 2
    assert CANARY not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
