"""Computed price sources over a few feeds and silent rates, and a seeded hand that moves all of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.devnet.evm import feeds, keys
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.feeds import Feed, deploy_aggregator, deploy_feed
from tests.devnet.evm.ledger import Ledger, Tx, invoke
from tests.devnet.evm.node import Node, RpcError

CHAIN_ID = 31_337
WAD = 10**18
DAY = 86_400
YEAR = 365 * DAY
SELDOM = 6
FIRST_ANSWERS = {"ETH": 2_000 * 10**8, "USDC": 10**8, "EUR": 11 * 10**7, "LST": 11 * 10**7}
WORDS = {
    "latestAnswer()": ("int256",),
    "latestRoundData()": ("uint80", "int256", "uint256", "uint256", "uint80"),
    "price()": ("uint256",),
}


@dataclass(slots=True, kw_only=True)
class Sources:
    """Sources by name with their addresses, and what they are made of."""

    ledger: Ledger
    admin: str
    feeds: Mapping[str, Feed]
    rates: Mapping[str, str]
    sources: Mapping[str, str]
    first: int
    rng: Random
    moved: list[str] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """The node of the chain."""
        return self.ledger.node

    def run(self, blocks: int) -> None:
        """Let things happen, in some blocks several and in others nothing, while time passes by seconds or by weeks."""
        for _ in range(blocks):
            kinds = self.rng.choices(
                list(MOVES), [weight for _, weight in MOVES.values()], k=self.rng.choice((0, 1, 1, 2))
            )
            self.moved += kinds
            txs = [tx for kind in kinds for tx in MOVES[kind][0](self)]
            self.ledger.mine(*txs, seconds=self.rng.choice((1, 12, 12, 3_600, DAY, 9 * DAY)))

    def said(self, name: str, block: int) -> int | None:
        """What a source says after a block, by whichever word it has; `None` where it says nothing."""
        for word, types in WORDS.items():
            try:
                values = decode(list(types), self.node.eth_call(self.sources[name], calldata(word), block))
            except (RpcError, ValueError):
                continue
            return int(values[1 if len(values) > 1 else 0])
        return None

    def do(self, address: str, signature: str, *arguments: object) -> Tx:
        """A transaction of the admin."""
        return invoke(self.admin, address, signature, *arguments)


def transmit(on: Sources) -> list[Tx]:
    name = on.rng.choice(list(on.feeds))
    answer = int(feeds.answer_of(on.node, on.feeds[name]) * on.rng.uniform(0.97, 1.03))
    return [feeds.transmit(on.node, on.feeds[name], on.rng.choice((answer, answer, answer, 0)) or FIRST_ANSWERS[name])]


def fall_to_nothing(on: Sources) -> list[Tx]:
    feed = on.feeds[on.rng.choice(list(on.feeds))]
    return [feeds.transmit(on.node, feed, on.rng.choice((0, -5)))]


def raise_rate(on: Sources) -> list[Tx]:
    """Move the rate that is calm, which it is while it moves seldom."""
    if on.moved.count("rate") > SELDOM:
        return []
    rate = on.rates["slow"]
    (value,) = decode(["uint256"], on.node.eth_call(rate, calldata("rate()")))
    return [on.do(rate, "set(uint256,uint256)", value * on.rng.randint(10_001, 10_400) // 10_000, 0)]


def set_cap(on: Sources) -> list[Tx]:
    name = on.rng.choice(("plain ratio cap", "finer ratio cap", "feed ratio cap"))
    ratio = 11 * 10**7 if name == "feed ratio cap" else WAD * on.rng.randint(100, 112) // 100
    time = int(on.node.header()["timestamp"], 16) - on.rng.choice((0, DAY, 20 * DAY))
    signature = "setCapParameters(uint256,uint256,uint16)"
    return [on.do(on.sources[name], signature, ratio, time, on.rng.choice((50, 500, 3_000)))]


def set_other_caps(on: Sources) -> list[Tx]:
    return [
        on.do(on.sources["stable cap"], "setPriceCap(int256)", on.rng.randint(98, 104) * 10**6),
        on.do(on.sources["euro cap"], "setPriceCapRatio(int256)", on.rng.randint(98, 104) * 10**6),
        on.do(on.sources["discount"], "setDiscountRatePerYear(uint64)", on.rng.randint(1, 20) * 10**16),
        on.do(on.sources["set price"], "setPrice(int256)", on.rng.randint(0, 9) * 10**8),
    ]


def change_aggregator(on: Sources) -> list[Tx]:
    name = on.rng.choice(list(on.feeds))
    return list(
        feeds.change_aggregator(on.feeds[name], deploy_aggregator(on.ledger, on.admin, name, FIRST_ANSWERS[name]))
    )


MOVES = {
    "transmit": (transmit, 30),
    "fall": (fall_to_nothing, 1),
    "rate": (raise_rate, 6),
    "cap": (set_cap, 6),
    "caps": (set_other_caps, 4),
    "aggregator": (change_aggregator, 2),
}


@contextmanager
def build(*, seed: int = 1, blocks: int = 60) -> Iterator[Sources]:
    """A chain with sources of every shape, moved for so many blocks."""
    with anvil(chain_id=CHAIN_ID) as node:
        on = deploy(Ledger(node), seed)
        on.run(blocks)
        yield on


def deploy(ledger: Ledger, seed: int) -> Sources:
    """Feeds, rates and sources, of which nothing moved yet."""
    admin = keys.address(seed, "admin")
    ledger.enrich([admin])
    made = {name: deploy_feed(ledger, admin, f"{name} / USD", answer) for name, answer in FIRST_ANSWERS.items()}
    proxies = {name: feed.proxy for name, feed in made.items()}

    def contract(name: str, types: str, *arguments: object) -> str:
        return ledger.deploy(admin, own_bytecode(name), types.split(), arguments)

    rates = {
        "slow": contract("SilentRate", "uint256 uint256", WAD * 11 // 10, 0),
        "fast": contract("SilentRate", "uint256 uint256", WAD, 10**9),
    }
    now = int(ledger.node.header()["timestamp"], 16)
    two = "address address"
    sources = {
        "plain": proxies["ETH"],
        "plain ratio cap": contract("PlainRatioCap", two, proxies["ETH"], rates["slow"]),
        "finer ratio cap": contract("FinerRatioCap", two, proxies["ETH"], rates["slow"]),
        "feed ratio cap": contract("FeedRatioCap", two, proxies["ETH"], proxies["LST"]),
        "stable cap": contract("StableCap", "address int256", proxies["USDC"], 104 * 10**6),
        "euro cap": contract("EuroCap", "address address int256", proxies["EUR"], proxies["USDC"], 104 * 10**6),
        "discount": contract("Discount", "address uint256 uint64", proxies["USDC"], now + YEAR, 10**17),
        "set price": contract("SetPrice", "int256", 10**8),
        "through peg": contract("ThroughPeg", two, proxies["LST"], proxies["ETH"]),
        "over base": contract("OverBase", two, proxies["USDC"], proxies["ETH"]),
        "product": contract("ProductFeed", "address address uint8", proxies["LST"], proxies["ETH"], 8),
        "rescaled": contract("RescaledFeed", "address uint8", proxies["ETH"], 18),
        "own make": contract("OwnMake", two, proxies["ETH"], proxies["LST"]),
        "vault oracle": contract(
            "VaultOracle", "address address address", rates["slow"], proxies["ETH"], proxies["USDC"]
        ),
        "fast vault oracle": contract(
            "VaultOracle", "address address address", rates["fast"], proxies["ETH"], proxies["USDC"]
        ),
    }
    sources["cap upon a cap"] = contract("StableCap", "address int256", sources["plain ratio cap"], 2_300 * 10**8)
    on = Sources(
        ledger=ledger,
        admin=admin,
        feeds=made,
        rates=rates,
        sources=sources,
        first=ledger.node.height(),
        rng=Random(seed),
    )
    ledger.do(
        *(
            on.do(sources[name], "setCapParameters(uint256,uint256,uint16)", ratio, now, 500)
            for name, ratio in {
                "plain ratio cap": WAD * 11 // 10, "finer ratio cap": WAD, "feed ratio cap": 11 * 10**7,
            }.items()
        )
    )  # fmt: skip
    return on
