"""A repeated question whose place was taken by newer ones while it was worked on."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from crossmargin.errors import UsageError
from crossmargin.server import idempotency
from crossmargin.server.idempotency import HEADER, Replies


def test_what_went_wrong_is_told_though_newer_questions_took_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MOST_KEPT", 1)
    replies = Replies(lambda: 0.0)

    async def answered() -> web.StreamResponse:
        return web.Response(body=b"{}")

    async def refused() -> web.StreamResponse:
        await replies.once(_posted("second"), "another", b"", answered)
        raise UsageError("what is wrong")

    with pytest.raises(UsageError, match="what is wrong"):
        asyncio.run(replies.once(_posted("first"), "asker", b"", refused))


def test_who_asks_much_takes_nobody_elses_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MOST_KEPT", 5)
    replies, done = Replies(lambda: 0.0), []

    async def answered() -> web.StreamResponse:
        done.append(1)
        return web.Response(body=b"{}", headers={"X-Rows": "1", "X-Truncated": "true"})

    async def asked() -> web.StreamResponse:
        await replies.once(_posted("mine"), "me", b"", answered)
        for number in range(20):
            await replies.once(_posted(str(number)), "another", b"", answered)
        return await replies.once(_posted("mine"), "me", b"", answered)

    again = asyncio.run(asked())

    assert len(done) == 21
    assert {name: again.headers.get(name) for name in (idempotency.REPLAYED, "X-Rows", "X-Truncated")} == {
        idempotency.REPLAYED: "true",
        "X-Rows": "1",
        "X-Truncated": "true",
    }


def _posted(key: str) -> web.Request:
    return make_mocked_request("POST", "/v1/sql", headers={HEADER: key})
