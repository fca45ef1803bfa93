"""What passes between an aggregator and an indexer is read whole, of the same version, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossmargin.mirror.asking import understood
from crossmargin.mirror.versions import made_by
from crossmargin.mirror.wire import LENGTH, MAGIC, HeldSaid, SightSaid, held_of, question, written
from indexer.mirror import MirrorWrong, Piece, give
from indexer.mirror import held_of as held_in
from indexer.store import MEMORY, Store
from tests.unit.indexer.mirror.builders import grow
from tests.unit.store.builders import CHAIN, finalize

NAME = "http://north:8080"
SIGHT = SightSaid(head=None, age_s=1.5, fault=None, stopped=False, broken=False, doubt=("chain_stale", CHAIN, "why"))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        grow(opened, 6)
        finalize(opened, 3)
        yield opened


@pytest.fixture(scope="module")
def piece(store: Store) -> Piece:
    with Store.open(MEMORY) as empty:
        return give(store, CHAIN, held_in(empty, CHAIN, None))


@pytest.fixture(scope="module")
def body(piece: Piece) -> bytes:
    return written(CHAIN, piece, SIGHT, waited_s=2.0, made_by=made_by(CHAIN))


def test_a_piece_is_read_as_it_was_written(piece: Piece, body: bytes) -> None:
    said, found = understood(CHAIN, body, NAME)

    assert found == piece
    assert (said.sight, said.waited_s) == (SIGHT, 2.0)


def test_what_is_held_is_read_as_it_was_written(store: Store) -> None:
    held = held_in(store, CHAIN, None, compared=True)
    sent = json.loads(question(held).model_dump_json())

    assert held_of(HeldSaid.model_validate(sent, strict=True)) == held


def test_half_an_answer_is_none(body: bytes) -> None:
    for end in (0, 5, len(MAGIC) + 2, len(MAGIC) + LENGTH + 40, len(body) // 2, len(body) - 1):
        with pytest.raises(MirrorWrong):
            understood(CHAIN, body[:end], NAME)


def test_one_byte_that_is_another_is_noticed(body: bytes) -> None:
    """In the head or in the rows; only the digits of ages may be others and still be a time."""
    start = len(body) - 4_000
    for at in range(start, len(body), 97):
        other = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        with pytest.raises(MirrorWrong):
            understood(CHAIN, other, NAME)


def test_more_than_was_named_is_refused(body: bytes) -> None:
    with pytest.raises(MirrorWrong, match="not whole"):
        understood(CHAIN, body + b"x", NAME)


def test_an_answer_about_another_chain_is_refused(body: bytes) -> None:
    with pytest.raises(MirrorWrong, match="another chain"):
        understood("eip155:31338", body, NAME)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"schema": 7}, "schema 7 there, "),
        ({"program": "9.9", "derivations": {}}, "derivations of aave-v3 None there, "),
        ({"format": 2}, "format 2 there, 1 here"),
    ],
)
def test_another_version_is_refused_with_both(body: bytes, change: dict[str, Any], said: str) -> None:
    with pytest.raises(MirrorWrong) as refused:
        understood(CHAIN, with_head(body, {"made_by": made_by(CHAIN) | change}), NAME)

    assert said in str(refused.value)
    assert NAME in str(refused.value)
    assert "until both are of one version" in str(refused.value)


def test_a_version_is_compared_before_anything_else_is_read(body: bytes) -> None:
    """A later one may say more."""
    later = with_head(body, {"made_by": made_by(CHAIN) | {"format": 2}, "unheard": True})

    with pytest.raises(MirrorWrong, match="format 2 there"):
        understood(CHAIN, later, NAME)


def with_head(body: bytes, change: dict[str, Any]) -> bytes:
    start = len(MAGIC) + LENGTH
    end = start + int.from_bytes(body[len(MAGIC) : start], "big")
    head = json.dumps(json.loads(body[start:end]) | change).encode()
    return MAGIC + len(head).to_bytes(LENGTH, "big") + head + body[end:]
