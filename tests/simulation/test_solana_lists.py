"""Nodes that find a list too long, or give none: it is asked for in parts, of another node, or the refusal is told by its name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.errors import ChainError, NodeWrong, TooManyAccounts
from chains.registry import connect
from chains.rpc.transport import TimedOut
from chains.solana.answers import Context, ProgramAccounts
from chains.solana.members import PARTS, Members
from chains.solana.ports import AccountSet
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import Answer, HttpError
from tests.simulation.test_solana_members import MARKET, compare, look, spec, venue
from tests.support.purses import OWNER, Purses, World

LISTS = "getProgramAccounts"


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=5, users=2, actions=0) as net:
        yield net


@pytest.fixture(autouse=True)
def purses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chains.solana.chain._adapter", Purses)


def is_whole(params: list[Any]) -> bool:
    """Whether a list of purses is not of a part."""
    return {"dataSize": 88} in params[1]["filters"] and not any(
        each.get("memcmp", {}).get("offset") == OWNER.start for each in params[1]["filters"]
    )


REFUSALS = [
    {"code": -32_600, "message": "Too many accounts requested (120000 pubkeys) for this method"},
    {"code": -32_012, "message": "scan aborted: The accumulated scan results exceeded the limit"},
    {"code": -32_008, "message": "Response is too big"},
    {"code": -32_000, "message": "Request timed out: please narrow your filters"},
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: each["message"][:20])
def test_a_list_that_is_too_long_is_asked_for_by_the_values_of_a_byte(
    refusal: dict[str, Any], net: Devnet, tmp_path: Path
) -> None:
    world = World(net.ledger, MARKET, seed=41)
    net.faults.inject(Answer(error=refusal), LISTS, where=is_whole)

    async def live(store: Store) -> None:
        async with aclosing(connect(spec(net, "confirmed"), [venue(net)], [])) as chain:
            for _ in range(3):
                world.live(4)
                world.make()
                world.throw_away()
                world.make()
                net.ledger.mine()
                net.ledger.idle(1)
                await look(chain, store)
                assert compare(net, store, world) > 0

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))


def head_of(net: Devnet, *urls: str) -> ChainError | None:
    """What keeps a chain over some nodes from telling its head."""

    async def ask() -> ChainError | None:
        chain = connect(replace(spec(net, "confirmed"), rpc=urls or (net.url,)), [venue(net)], [])
        async with aclosing(chain):
            try:
                await chain.head()
            except ChainError as error:
                return error
        return None

    return asyncio.run(ask())


def test_a_list_that_is_too_long_and_cannot_be_parted_is_named(net: Devnet) -> None:
    World(net.ledger, MARKET, seed=42)
    with net.faults.inject(Answer(error=REFUSALS[0]), LISTS, where=lambda params: not is_whole(params)):
        error = head_of(net)
    assert isinstance(error, TooManyAccounts)
    assert "does not list so many accounts in one answer" in str(error)


@pytest.mark.parametrize(
    "fault, words",
    [
        (Answer(error={"code": -32_601, "message": "Method not found"}), "does not list accounts"),
        (Answer(error={"code": -32_600, "message": "getProgramAccounts is disabled"}), "does not list accounts"),
        (
            Answer(error={"code": 403, "message": "getProgramAccounts is not available on your plan"}),
            "does not list accounts",
        ),
        (
            Answer(error={"code": -32_010, "message": "KLend excluded from account secondary indexes"}),
            "does not list accounts",
        ),
        (HttpError(status=410), "HTTP 410"),
        (HttpError(status=403), "HTTP 403"),
    ],
    ids=lambda each: getattr(each, "status", None) or str(getattr(each, "error", each))[:24],
)
def test_a_node_that_gives_no_lists_is_named_and_another_one_asked(fault: Any, words: str, net: Devnet) -> None:
    World(net.ledger, MARKET, seed=43)
    with net.serve() as second, net.faults.inject(fault, LISTS):
        error = head_of(net)
        assert isinstance(error, NodeWrong)
        assert words in str(error)
        assert head_of(net, net.url, second.url) is None


class Slow:
    """Requests of which those for whole lists find no end."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def many(self, requests: Sequence[Any], kind: type[Any], *, together: int) -> list[Any]:
        del kind, together
        self.asked.append(len(requests))
        if len(requests) == 1:
            raise TimedOut("node 1 did not answer within 30 s")
        return [ProgramAccounts(context=Context(slot=7 + number % 3), value=[]) for number in range(len(requests))]


async def test_a_list_that_finds_no_end_is_parted_from_then_on() -> None:
    slow: Any = Slow()
    members = Members("chain c", slow, "confirmed")
    wanted = AccountSet("purse", bytes(32), None, (), spread=8)

    assert (await members.list(wanted, 5)).slot == 9
    await members.list(wanted, 5)
    assert slow.asked == [1, PARTS, PARTS]
    with pytest.raises(TimedOut):
        await members.list(wanted._replace(spread=None), 5)
