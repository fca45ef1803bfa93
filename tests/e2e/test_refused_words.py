"""What a command cannot take is refused in one line that says what, where and what to do, with the exit code of a wrong question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Indexed
from tests.support.recorded import crossmargin

WALLET = "0x539dA4CCF2051F73bbbf0daa112810fb62155701"
Make = Callable[[Path], object]

FILES: dict[str, Make] = {
    "folder": lambda path: path.mkdir(),
    "latin1": lambda path: path.write_bytes("é".encode("latin-1")),
    "deep": lambda path: path.write_text("[" * 100_000),
    "large": lambda path: path.write_bytes(b" " * (1 << 21)),
    "plain": lambda path: path.write_text("{}"),
}

REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a policy that is not there": (("policy", "check", "gone"), "gone cannot be read: No such file or directory"),
    "a policy that is a folder": (("policy", "preview", "folder"), "folder cannot be read: Is a directory"),
    "a policy that is no text": (("policy", "check", "latin1"), "latin1 is no text in UTF-8"),
    "a policy that is too large": (("policy", "check", "large"), "and no policy is"),
    "a signature that is not there": (
        ("account", "link", "acme", "--wallet", WALLET, "--signature", "gone"),
        "gone cannot be read: No such file or directory",
    ),
    "liabilities that are not there": (("liabilities", "import", "gone"), "gone cannot be read: No such file"),
    "a document to sign that is not there": (
        ("liabilities", "sign", "gone", "--key", "gone"),
        "gone cannot be read: No such file",
    ),
    "a key where there is no folder": (
        ("liabilities", "key", "none/key.pem"),
        "none/key.pem cannot be written: No such",
    ),
    "a public key that is none": (("snapshot", "verify", "folder", "--key", "zz"), "--key: a public key has 64"),
    "a witness that is none": (("snapshot", "verify", "folder", "--witness", "00"), "--witness: a public key has 64"),
    "guardians that are not there": (("snapshot", "verify", "folder", "--guardians", "gone"), "gone cannot be read"),
    "guardians that are nested too deeply": (
        ("snapshot", "verify", "folder", "--guardians", "deep"),
        "--guardians: deep must hold sets such as",
    ),
    "guardians that are too many": (("snapshot", "verify", "folder", "--guardians", "large"), "large is larger than"),
    "a membership without an end": (
        ("account", "link", "acme", "--wallet", WALLET, "--message-only", "--expires", "99999999d"),
        "--expires must be a duration of at most 36500 days",
    ),
    "words that are no text": (("sql", "\udcff"), "argument 2 is no text in UTF-8"),
    "an account that is no text": (("health", "\udcff\udcfe", "--json"), "argument 2 is no text in UTF-8"),
    "a node without its chain": (
        ("init", "--chain", "ethereum", "--node", "https://user:pa55@node.example/k3yk3yk3y"),
        "--node takes a chain and where its node is, CHAIN=WHERE",
    ),
    "a node whose address has an equals sign": (
        ("init", "--chain", "ethereum", "--node", "https://node.example/?apikey=k3yk3yk3y"),
        "--node takes a chain and where its node is, CHAIN=WHERE",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_named_and_no_secret_is_repeated(case: str, tmp_path: Path) -> None:
    for name, make in FILES.items():
        make(tmp_path / name)
    arguments, said = REFUSED[case]

    done = crossmargin(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not any(word in done.stderr for word in ("Traceback", "Errno", "a fault of", "pa55", "k3yk3y"))


OF_A_STORE: dict[str, tuple[tuple[str, ...], str]] = {
    "blocks that are not in order": (
        ("prove-coverage", "--chain", "north", "--from", "10", "--to", "5"),
        "no final block from 10 to 5 is there to look at",
    ),
    "every address of a machine": (("serve", "--host", ""), "other machines can reach every address of this machine"),
    "a webhook of a venue that is none": (
        ("webhooks", "add", "https://hook.example/", "--venue", "aave-nort"),
        'there is no venue "aave-nort"; did you mean "aave-north"?',
    ),
    "a webhook of an owner who is none": (
        ("webhooks", "add", "https://hook.example/", "--owner", "streched"),
        'did you mean "stretched"?',
    ),
    "a webhook of an asset that is none": (
        ("webhooks", "add", "https://hook.example/", "--asset", "WETH"),
        '"WETH" is no CAIP-19 asset; write it like',
    ),
}


@pytest.mark.parametrize("case", OF_A_STORE)
def test_what_nothing_can_come_of_is_refused(case: str, indexed: Indexed) -> None:
    arguments, said = OF_A_STORE[case]

    done = crossmargin(indexed.folder, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_webhook_that_chooses_nothing_says_that_it_gets_all(indexed: Indexed) -> None:
    done = crossmargin(indexed.folder, "webhooks", "add", "https://hook.example/", "--venue", "aave-north")

    assert done.returncode == 0, done.stderr
    assert "kinds = all" in done.stdout
    assert "venues = aave-north" in done.stdout
