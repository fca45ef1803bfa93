"""Many requests at once: in batches as large as nodes take, and nothing left under way by a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from chains.errors import ChainError, HistoryGone, NodeBehind, NodeBusy, NodeLimits, NodeWrong, Unsupported
from chains.rpc import Answered, NodePool, RpcFault
from chains.rpc.together import gathered
from chains.solana import asking
from chains.solana.asking import Asking, Request, parts_of
from chains.solana.dialect import SolanaDialect

REQUESTS: list[Request] = [("echo", [number]) for number in range(250)]


class Pool(NodePool):
    """Nodes that answer with the parameter, and refuse batches of more than `most`."""

    def __init__(self, most: int, refusal: ChainError | None = None) -> None:
        super().__init__("solana:test", SolanaDialect(), ["http://127.0.0.1:9"])
        self.most = most
        self.refusal = refusal or NodeBusy("not now")
        self.sizes: list[int] = []

    async def answered(self, requests: Sequence[Request], **wishes: object) -> Answered:
        await asyncio.sleep(0)
        self.sizes.append(len(requests))
        if len(requests) > self.most:
            raise self.refusal
        return Answered([msgspec.Raw(msgspec.json.encode(params[0])) for _, params in requests], "node 1")


@pytest.mark.parametrize("most", [1, 5, 10, 99, 100])
@pytest.mark.parametrize("refusal", [NodeBusy("limits"), NodeWrong("malformed")], ids=["busy", "wrong"])
async def test_batches_shrink_until_they_are_taken_and_answers_keep_their_order(most: int, refusal: ChainError) -> None:
    pool = Pool(most, refusal)
    ask = Asking("solana:test", pool)

    assert await ask.many(REQUESTS, int, together=100) == list(range(250))
    first = pool.sizes.copy()
    assert await ask.many(REQUESTS[:30], int, together=100) == list(range(30))
    assert max(pool.sizes[len(first) :]) <= most


async def test_a_single_request_that_is_refused_is_a_failure() -> None:
    with pytest.raises(NodeBusy, match="not now"):
        await Asking("solana:test", Pool(0)).many(REQUESTS[:3], int, together=100)


async def test_what_no_smaller_batch_mends_is_not_asked_again() -> None:
    pool = Pool(0, HistoryGone("gone"))
    with pytest.raises(HistoryGone):
        await Asking("solana:test", pool).many(REQUESTS[:3], int, together=100)

    assert pool.sizes == [3]


async def test_batches_grow_again_after_many_that_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 5)
    pool = Pool(10)
    ask = Asking("solana:test", pool)
    await ask.many(REQUESTS[:20], int, together=100)
    pool.most = 100
    for _ in range(3):
        await ask.many(REQUESTS[:50], int, together=100)

    assert pool.sizes[-1] == 50


async def test_no_batch_is_larger_than_was_wished() -> None:
    pool = Pool(100)
    await Asking("solana:test", pool).many(REQUESTS, int, together=7)

    assert max(pool.sizes) == 7


async def test_where_one_fails_the_others_are_ended_first() -> None:
    ended: list[str] = []

    async def patient() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("patient")

    async def hasty() -> None:
        await asyncio.sleep(0)
        raise NodeBusy("no")

    with pytest.raises(NodeBusy, match="no"):
        await gathered([patient(), hasty(), patient()])

    assert ended == ["patient", "patient"]
    assert await gathered(coroutine(number) for number in range(3)) == [0, 1, 2]
    assert parts_of([1, 2, 3], 2) == [[1, 2], [3]]


async def coroutine(number: int) -> int:
    return number


@pytest.mark.parametrize(
    "code, kind",
    [
        (429, NodeLimits),
        (-32429, NodeLimits),
        (-32005, NodeBehind),
        (-32016, NodeBehind),
        (-32019, NodeBusy),
        (-32001, HistoryGone),
        (-32011, HistoryGone),
        (-32015, Unsupported),
        (-32004, RpcFault),
        (-32007, RpcFault),
        (-32009, RpcFault),
        (-32014, RpcFault),
        (-32020, RpcFault),
        (-32602, RpcFault),
        (-32603, RpcFault),
    ],
)
def test_every_code_has_its_kind(code: int, kind: type[ChainError]) -> None:
    fault = RpcFault("node 1 refuses m: text", code=code, text="text", data=None)

    meant = SolanaDialect().error("solana:test", "node 1", "m", fault)
    assert type(meant) is kind
    assert "text" in str(meant)
