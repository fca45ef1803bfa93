"""What could be a key in a node's address never leaves the program."""

from __future__ import annotations

import pytest

from chains.redaction import Redactor, label

NODE = "https://user:pass%2Fword@node.example:8545/v3/KEYKEYKEYKEY/rpc?apikey=s3cr3t%21&x=y"


@pytest.mark.parametrize(
    "said",
    [
        NODE,
        f"Cannot connect to {NODE} now",
        "GET /v3/KEYKEYKEYKEY/rpc HTTP/1.1",
        "apikey=s3cr3t%21",
        "s3cr3t!",
        "user:pass%2Fword",
        "pass/word",
        "KEYKEYKEYKEY",
        "Basic dXNlcjpwYXNzL3dvcmQ=",
    ],
)
def test_every_part_that_could_be_a_key_is_hidden(said: str) -> None:
    shown = Redactor([NODE]).scrub(said)

    assert not any(secret in shown for secret in ("KEYKEYKEYKEY", "s3cr3t", "pass", "dXNlcjpwYXNzL3dvcmQ"))


def test_the_host_and_everything_else_stays() -> None:
    assert Redactor([NODE]).scrub(f"{NODE} of eip155:1 is busy") == "https://node.example:8545/••• of eip155:1 is busy"


def test_plain_words_of_a_path_stay_words() -> None:
    redactor = Redactor(["https://node.example/ethereum/mainnet/v1/0123456789abcdef"])

    assert redactor.scrub("ethereum mainnet v1 0123456789abcdef") == "ethereum mainnet v1 •••"


def test_without_addresses_nothing_changes() -> None:
    assert Redactor().scrub("anything") == "anything"


@pytest.mark.parametrize(
    "address, shown",
    [("http://127.0.0.1:8545", "http://127.0.0.1:8545"), ("http://127.0.0.1:8545/", "http://127.0.0.1:8545")],
)
def test_an_address_without_a_secret_is_its_own_label(address: str, shown: str) -> None:
    assert label(address) == shown
