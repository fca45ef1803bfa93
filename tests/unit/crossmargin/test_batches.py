"""What a batch is answered with: why an account has no answer is told as any other refusal, and large answers go out in pieces."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest
from aiohttp.abc import AbstractStreamWriter

from chains.errors import ChainError
from crossmargin.server.pieces import AT_ONCE, Pieces
from crossmargin.server.rooms.accounts import _joined, _told
from tests.support.around import surroundings

NODE = "https://node.example/v2/canary0123456789"


def test_neither_a_nodes_key_nor_a_faults_words_are_told() -> None:
    around, errors = surroundings(lambda _: None, addresses=[NODE])
    refused = [_told(around, ChainError(f"{NODE}: did not answer")), _told(around, KeyError("/srv/inside/path"))]

    body = _joined(["a", "b"], refused).whole()

    chain, fault = (each["problem"] for each in json.loads(body)["results"])
    assert (chain["status"], fault["status"]) == (503, 500)
    assert "canary" not in body.decode() + errors.getvalue()
    assert "inside" not in body.decode()
    assert "inside" in errors.getvalue()


class Sent(AbstractStreamWriter):
    """What was handed on, in its order."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.chunks.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        raise AssertionError(chunk)

    async def drain(self) -> None:
        raise AssertionError

    def enable_compression(self, *_: object, **__: object) -> None:
        raise AssertionError

    def enable_chunking(self) -> None:
        raise AssertionError

    async def write_headers(self, *_: object) -> None:
        raise AssertionError


@pytest.mark.parametrize("pieces, largest", [(0, 0), (1, 10), (3, 3 * AT_ONCE), (2_000, 12_000), (700, 3)])
def test_all_pieces_are_sent_in_their_order_and_some_at_a_time(pieces: int, largest: int) -> None:
    random = Random(pieces)
    body = Pieces([random.randbytes(random.randint(0, largest)) for _ in range(pieces)])
    sent = Sent()

    asyncio.run(body.write(sent))

    assert b"".join(sent.chunks) == body.whole()
    assert body.size == len(body.whole())
    assert len(sent.chunks) <= 2 + 2 * body.size // AT_ONCE
