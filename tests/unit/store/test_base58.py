"""SQL writes bytes in base 58 exactly as Python does."""

from __future__ import annotations

import pytest

from chains.identifiers import base58
from indexer.store import Store


def written(store: Store, raws: list[bytes | None], expression: str = "base58(raw)") -> list[str | None]:
    with store.reading() as reader:
        raw = reader._con.sql("SELECT unnest(CAST($raws AS BLOB[])) AS raw", params={"raws": raws})
        found = raw.project(expression).fetchall()
    return [text for (text,) in found]


def test_known_bytes_have_their_known_texts(store: Store) -> None:
    known = {
        b"": "",
        b"\x00": "1",
        b"\x00\x00\x01": "112",
        b"\x39": "z",
        b"\x3a": "21",
        b"Hello World!": "2NEpo7TZRRrLZSi2U",
        b"\xff" * 8: "jpXCZedGfVQ",
        bytes(32): "1" * 32,
    }

    assert written(store, list(known)) == list(known.values())


def test_what_is_unknown_stays_unknown(store: Store) -> None:
    assert written(store, [None, b"\x01"]) == [None, "2"]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128])
def test_the_widest_number_of_every_length_fits(store: Store, length: int) -> None:
    assert written(store, [b"\xff" * length]) == [base58(b"\xff" * length)]


@pytest.mark.parametrize("name", ["raw", "limb", "limbs", "word", "sums", "total", "nth_word", "weight", "chain_id"])
def test_a_column_may_have_any_name(store: Store, name: str) -> None:
    """A macro is text put in place: its own names must not catch the caller's."""
    with store.reading() as reader:
        found = reader._con.sql(f"SELECT 'ab'::BLOB AS {name}").project(f"base58({name})").fetchall()

    assert found == [(base58(b"ab"),)]


@pytest.mark.parametrize("chain_id, text", [("solana:devnet", "8Qq"), ("eip155:1", "0x6162"), ("test:1", "0x6162")])
def test_every_chain_is_written_in_its_own_way(store: Store, chain_id: str, text: str) -> None:
    assert written(store, [b"ab"], f"written('{chain_id}', raw)") == [text]
