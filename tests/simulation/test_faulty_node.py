"""The node that misbehaves does each thing that it says, does it again for the same seed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.node import header_request
from tests.support.faulty.faults import Behind, Compressed, Fault, HalfSent, Mangled, Refused, Silent, accidents
from tests.support.faulty.limits import (
    ADDRESS_WORDINGS,
    RANGE_WORDINGS,
    RESULT_WORDINGS,
    AddressLimit,
    RangeLimit,
    ResultLimit,
    Wording,
)
from tests.support.faulty.missing import CHOICES, Forgetful, Oblivion, Omitting, Truncated
from tests.support.faulty.node import FaultyNode

ACCIDENTS = {fault.kind: fault for fault in accidents(silence_s=0.2, window=64)}
LATEST = ("eth_getBlockByNumber", "latest", False)
TIMEOUT = aiohttp.ClientTimeout(total=20)


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with build(seed=21, actions=60) as devnet:
        yield devnet


class Said(NamedTuple):
    """An HTTP answer as a client without any leniency saw it; `status` 0 where there was none."""

    status: int
    text: str

    @property
    def replies(self) -> list[Any]:
        said = json.loads(self.text)
        return said if isinstance(said, list) else [said]

    @property
    def result(self) -> Any:
        return self.replies[0]["result"]

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.replies[0]["error"]
        return found


class Client:
    """Asks a node plainly."""

    def __init__(self, session: aiohttp.ClientSession, node: FaultyNode) -> None:
        self.session = session
        self.node = node

    async def ask(self, method: str, *params: Any) -> Said:
        return await self.post({"id": 0, "jsonrpc": "2.0", "method": method, "params": params})

    async def header(self, which: int | str) -> Any:
        method, params = header_request(which)
        return (await self.ask(method, *params)).result

    async def batch(self, method: str, *params: Any) -> Said:
        return await self.post([{"id": i, "method": method, "params": params} for i in range(3)])

    async def post(self, body: Any) -> Said:
        try:
            async with self.session.post(self.node.url, json=body) as answer:
                return Said(answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return Said(0, "")


@asynccontextmanager
async def client(
    net: Devnet, *, seed: str = "a", accidents: Sequence[Fault] = (), share: float = 1, habits: Sequence[Fault] = ()
) -> AsyncIterator[Client]:
    node = FaultyNode(net.url, seed=seed, accidents=accidents, share=share, habits=habits)
    async with node, aiohttp.ClientSession(timeout=TIMEOUT) as session:
        yield Client(session, node)


def honest_logs(net: Devnet) -> list[dict[str, Any]]:
    logs: list[dict[str, Any]] = net.node.call("eth_getLogs", everything(net))
    return logs


def everything(net: Devnet) -> dict[str, str]:
    return {"fromBlock": "0x0", "toBlock": hex(net.node.height())}


async def test_without_faults_every_answer_is_the_honest_one(net: Devnet) -> None:
    async with client(net) as asked:
        assert (await asked.ask("eth_getLogs", everything(net))).result == honest_logs(net)
        assert await asked.header("latest") == net.node.header()
        assert [reply["id"] for reply in (await asked.batch("eth_chainId")).replies] == [0, 1, 2]
        assert "error" in (await asked.ask("eth_call", {"to": net.market.pool, "data": "0x01"}, "latest")).replies[0]

    assert asked.node.met == []
    assert asked.node.exchanges == 4


@pytest.mark.parametrize("kind", sorted(set(ACCIDENTS) - {"header of another branch"}))
async def test_each_accident_spoils_the_exchange_that_meets_it_and_is_recorded(kind: str, net: Devnet) -> None:
    fault, pinned = ACCIDENTS[kind], {"blockHash": net.node.header()["hash"]}
    method, params = "eth_getBlockByNumber", [hex(net.node.height()), False]
    if kind == "header not found":
        method, params = "eth_call", [{"to": net.market.pool, "data": "0x"}, pinned]
    async with client(net, accidents=[fault]) as asked:
        spoiled = await asked.batch(method, *params)
        asked.node.faulty = False
        honest = await asked.batch(method, *params)

    assert asked.node.kinds.keys() == {kind}
    assert asked.node.met[0] == (kind, method, None if kind == "header not found" else net.node.height(), 0)
    assert (spoiled == honest) is isinstance(fault, Compressed)
    assert len(honest.replies) == 3


async def test_answers_that_hold_nothing_come_with_their_status_and_wish(net: Devnet) -> None:
    async with (
        client(net, accidents=[ACCIDENTS["429 with Retry-After"]]) as asked,
        asked.session.post(asked.node.url, json={"id": 1, "method": "eth_chainId"}) as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (429, "0.05")


@pytest.mark.parametrize("kind, ids", [
    ("wrong ids", [1_000_000, 1_000_001, 1_000_002]),
    ("ids as text", ["0", "1", "2"]),
    ("reordered", [2, 1, 0]),
    ("duplicate reply", [0, 1, 2, 0]),
    ("duplicate for another", [0, 1, 0]),
    ("missing reply", [1, 2]),
])  # fmt: skip
async def test_batches_come_back_mangled(kind: str, ids: list[object], net: Devnet) -> None:
    async with client(net, accidents=[ACCIDENTS[kind]]) as asked:
        assert [reply["id"] for reply in (await asked.batch("eth_chainId")).replies] == ids


async def test_a_silent_node_and_half_an_answer_end_without_an_answer(net: Devnet) -> None:
    for fault in (Silent(seconds=0.2), HalfSent(), ACCIDENTS["connection reset"]):
        async with client(net, accidents=[fault]) as asked:
            assert (await asked.ask("eth_chainId")).status == 0
        assert list(asked.node.kinds) == [fault.kind]


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_bodies_come_compressed_and_readable(kind: str, net: Devnet) -> None:
    async with (
        client(net, accidents=[ACCIDENTS[kind]]) as asked,
        asked.session.post(asked.node.url, json={"id": 1, "method": "eth_chainId"}) as answer,
    ):
        assert answer.headers["Content-Encoding"] == kind
        assert (await answer.json())["result"] == hex(net.chain_id)


@pytest.mark.parametrize("silent", [True, False])
async def test_a_stale_replica_knows_nothing_above_its_own_head(silent: bool, net: Devnet) -> None:  # noqa: FBT001
    height = net.node.height()
    digest = net.node.header()["hash"]
    async with client(net, accidents=[Behind(kind="stale", lag=3, silent=silent)]) as asked:
        assert (await asked.ask("eth_blockNumber")).result == hex(height - 3)
        assert await asked.header("latest") == net.node.header(height - 3)
        assert await asked.header(height - 2) is None
        assert await asked.header(height - 3) == net.node.header(height - 3)
        assert (await asked.ask("eth_getBlockReceipts", hex(height))).result is None
        call = await asked.ask("eth_call", {"to": net.market.pool, "data": "0x"}, {"blockHash": digest})
        assert call.error == {"code": -32000, "message": "header not found"}
        logs = await asked.ask("eth_getLogs", everything(net))
        below = await asked.ask("eth_getLogs", everything(net) | {"toBlock": hex(height - 3)})

    honest = [log for log in honest_logs(net) if int(log["blockNumber"], 16) <= height - 3]
    assert below.result == honest != honest_logs(net)
    if silent:
        assert logs.result == honest
    else:
        assert logs.error == {"code": -32000, "message": "block range extends beyond current head block"}


async def test_a_lasting_accident_spoils_so_many_exchanges_in_a_row() -> None:
    with build(seed=22, actions=0) as net:
        async with client(net, accidents=[ACCIDENTS["outage"]], share=0.2) as asked:
            statuses = [(await asked.ask("eth_chainId")).status for _ in range(60)]

    first = statuses.index(503)
    assert first > 0
    assert statuses[first : first + 8] == [503] * 8
    assert 200 in statuses[first + 8 :]


async def test_a_header_of_another_branch_is_one_that_was_forgotten() -> None:
    with build(seed=23, actions=5) as net:
        height = net.node.height()
        async with client(net, accidents=[ACCIDENTS["header of another branch"]]) as asked:
            before = await asked.header(height)
            net.node.call("anvil_rollback", 2)
            net.ledger.mine(seconds=99)
            net.ledger.mine(seconds=99)
            after = await asked.header(height)

        assert after == before
        assert net.node.header(height)["hash"] != before["hash"]
        assert asked.node.kinds == {"header of another branch": 1}


@pytest.mark.parametrize("wording", RANGE_WORDINGS)
async def test_a_range_that_is_too_wide_is_refused_in_the_words_of_a_provider(wording: Wording, net: Devnet) -> None:
    async with client(net, habits=[RangeLimit(limit=10, wordings=[wording])]) as asked:
        wide = await asked.ask("eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x1e"})
        narrow = await asked.ask("eth_getLogs", {"fromBlock": "0x5", "toBlock": "0xe"})

    assert wide.status == wording.status
    assert wide.error == {
        "code": wording.code,
        "message": wording.text.format(limit=10, asked=26, first="0x5", fits="0xe"),
    }
    assert isinstance(narrow.result, list)
    assert asked.node.met == [("range limit", "eth_getLogs", 5, 0)]


@pytest.mark.parametrize("wording", RESULT_WORDINGS)
async def test_too_many_results_are_refused_and_the_suggested_range_fits(wording: Wording, net: Devnet) -> None:
    first, last = net.market.start_block, net.node.height()
    async with client(net, habits=[ResultLimit(limit=90, wordings=[wording])]) as asked:
        refused = await asked.ask("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})
        fits = int(refused.error["message"].rpartition(", ")[2].rstrip("]."), 16) if "{fits}" in wording.text else first
        answered = await asked.ask("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(fits)})

    assert refused.status == wording.status
    assert first <= fits < last
    assert 0 <= len(answered.result) <= 90
    assert ("90" in refused.error["message"]) is ("{limit}" in wording.text)


@pytest.mark.parametrize("wording", ADDRESS_WORDINGS)
async def test_too_many_addresses_are_refused(wording: Wording, net: Devnet) -> None:
    addresses = [reserve.a_token for reserve in net.market.reserves]
    async with client(net, habits=[AddressLimit(limit=2, wordings=[wording])]) as asked:
        many = await asked.ask("eth_getLogs", everything(net) | {"address": addresses})
        few = await asked.ask("eth_getLogs", everything(net) | {"address": addresses[:2]})

    assert many.error["message"] == wording.text.format(limit=2)
    assert few.result


@pytest.mark.parametrize("kind", CHOICES)
async def test_logs_are_left_out_of_an_answer_that_looks_whole(kind: str, net: Devnet) -> None:
    async with client(net, accidents=[Omitting(kind=kind, choice=CHOICES[kind])]) as asked:
        answers = [(await asked.ask("eth_getLogs", everything(net))).result for _ in range(20)]
        asked.node.faulty = False
        receipts = [await asked.ask("eth_getBlockReceipts", hex(n)) for n in range(net.node.height() + 1)]

    honest = honest_logs(net)
    missing = [[log for log in honest if log not in answer] for answer in answers]
    assert any(missing)
    assert sum(map(bool, missing)) == asked.node.kinds[kind]
    assert all(len({log["blockNumber"] for log in lost}) <= 1 for lost in missing)
    assert {len(lost) for lost in missing if lost} == {1} or kind == "several logs missing"
    assert [log for answer in receipts for one in answer.result for log in one["logs"]] == honest


async def test_of_two_logs_with_the_same_topic_and_address_in_a_block_one_is_left_out(net: Devnet) -> None:
    kind = "one of two alike missing"
    async with client(net, accidents=[Omitting(kind=kind, choice=CHOICES[kind])]) as asked:
        answers = [(await asked.ask("eth_getLogs", everything(net))).result for _ in range(20)]

    honest = honest_logs(net)
    lost = [log for answer in answers for log in honest if log not in answer]
    assert lost
    for log in lost:
        twins = [
            other
            for other in honest
            if (other["blockNumber"], other["address"], other["topics"][0])
            == (log["blockNumber"], log["address"], log["topics"][0])
        ]
        assert len(twins) > 1


async def test_a_truncated_answer_holds_every_log_up_to_some_block(net: Devnet) -> None:
    async with client(net, accidents=[Truncated()]) as asked:
        answer = (await asked.ask("eth_getLogs", everything(net))).result

    honest = honest_logs(net)
    assert answer == honest[: len(answer)]
    assert 0 < len(answer) < len(honest)
    assert answer[-1]["blockNumber"] != honest[len(answer)]["blockNumber"]


async def test_what_is_forgotten_is_forgotten_by_every_node_for_good(net: Devnet) -> None:
    oblivion = Oblivion("s", 0.1)
    answers = []
    for seed in ("a", "b"):
        async with client(net, seed=seed, habits=[Forgetful(oblivion=oblivion)]) as asked:
            answers += [(await asked.ask("eth_getLogs", everything(net))).result for _ in range(2)]
            assert asked.node.kinds == {"forgotten logs": 2}

    honest = honest_logs(net)
    assert 0 < len(answers[0]) < len(honest)
    assert answers[1:] == answers[:1] * 3
    forgotten = {(digest, index) for digest, indexes in oblivion.forgotten.items() for index in indexes}
    assert forgotten == {(log["blockHash"], int(log["logIndex"], 16)) for log in honest if log not in answers[0]}


async def test_the_same_seed_deals_the_same_accidents_and_another_deals_others(net: Devnet) -> None:
    async def met(seed: str) -> list[Any]:
        quick = [fault for fault in ACCIDENTS.values() if not isinstance(fault, Silent)]
        async with client(net, seed=seed, accidents=quick, share=0.4) as asked:
            for _ in range(60):
                await asked.batch(*LATEST)
        return list(asked.node.met)

    first = await met("a")

    assert first == await met("a")
    assert first != await met("b")


async def test_no_accident_comes_twice_before_every_other_that_can_came_once(net: Devnet) -> None:
    deck: list[Fault] = [
        Refused(kind="one", status=500),
        Refused(kind="twice as often", status=500, weight=2),
        Mangled(kind="batches only", change=lambda replies: replies[1:]),
    ]
    async with client(net, accidents=deck, share=0.5) as asked:
        while asked.node.kinds.total() < 9:
            await asked.ask("eth_chainId")
        await asked.batch("eth_chainId")
        while asked.node.kinds["batches only"] == 0:
            await asked.batch("eth_chainId")

    assert asked.node.kinds["twice as often"] == 2 * asked.node.kinds["one"] == 6
