"""Morpho Blue with markets of several kinds, its own contracts from their packages, and a seeded crowd that uses them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.devnet.evm import feeds, keys
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import own_bytecode, package_bytecode
from tests.devnet.evm.feeds import Feed, deploy_feed
from tests.devnet.evm.ledger import Ledger, Tx, invoke
from tests.devnet.evm.node import Node, RpcError
from tests.devnet.evm.vault import BLOCK_SIZES, Token, approve, deploy_token, mint

CHAIN_ID = 31_337
USERS = 10
ACTIONS = 420
WAD = 10**18
NOWHERE = "0x" + "00" * 20
DAY = 86_400
FIXED_RATE = WAD // 10 // (365 * DAY)
SOURCES = (
    "@morpho-org/morpho-blue/src/Morpho.sol",
    "@morpho-org/morpho-blue/src/mocks/IrmMock.sol",
    "@morpho-org/morpho-blue/src/mocks/OracleMock.sol",
    "sphere-mezo-solidity-files/domains/morphoIrm/contracts/AdaptiveCurveIrm.sol",
)
PARAMS = "(address,address,address,address,uint256)"
ORACLE_TYPES = [*("address",) * 5, "uint256"]
PRICES = {"ETH": 2_000 * 10**8, "BTC": 60_000 * 10**8, "USDC": 10**8, "LST": 11 * 10**7}
"""First answers in dollars, and of the staked token in Ether, to eight decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A market by its parameters; `priced` and `modelled`: whether its oracle and its rate can be followed."""

    name: str
    loan: Token
    collateral: Token
    oracle: str
    irm: str
    lltv: int
    priced: bool
    modelled: bool

    @property
    def params(self) -> tuple[str, str, str, str, int]:
        """The parameters as the contract takes them."""
        return self.loan.address, self.collateral.address, self.oracle, self.irm, self.lltv

    @property
    def id(self) -> str:
        """The hash of the parameters."""
        return _id_of(self.params)


@cache
def _id_of(params: tuple[str, str, str, str, int]) -> str:
    return "0x" + keccak(encode(PARAMS[1:-1].split(","), params)).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a market stores: assets and shares of both sides, time of the last update, fee."""

    supply_assets: int
    supply_shares: int
    borrow_assets: int
    borrow_shares: int
    last_update: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a position stores."""

    supply_shares: int
    borrow_shares: int
    collateral: int


@dataclass(slots=True, kw_only=True)
class Lending:
    """A deployment in use. What its people do depends on the seed and the chain alone."""

    chain_id: int
    ledger: Ledger
    address: str
    start_block: int
    admin: str
    liquidator: str
    prober: str
    probed_from: int
    people: tuple[str, ...]
    feeds: Mapping[str, Feed]
    markets: tuple[Market, ...]
    mock: str
    rng: Random
    succeeded: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)

    @property
    def node(self) -> Node:
        """The node of the chain."""
        return self.ledger.node

    @property
    def everybody(self) -> tuple[str, ...]:
        """Everybody who may have a position."""
        return (*self.people, self.admin, self.liquidator, NOWHERE)

    def run(self, actions: int) -> None:
        """Let so many things happen, several in one block, and nothing in another; time passes by seconds or by weeks."""
        done = 0
        while done < actions:
            weights = [weight for _, weight in PLANS.values()]
            kinds = self.rng.choices(list(PLANS), weights, k=self.rng.choice(BLOCK_SIZES))
            txs = [PLANS[kind][0](self) for kind in kinds]
            seconds = self.rng.choice((1, 12, 12, 12, 3_600, DAY, 9 * DAY))
            for kind, receipt in zip(kinds, self.ledger.mine(*txs, seconds=seconds), strict=True):
                (self.succeeded if receipt.succeeded else self.reverted)[kind] += 1
            done += len(kinds)

    def person(self) -> str:
        return self.rng.choice(self.people)

    def market(self) -> Market:
        """Any market, and every other time one of the first few."""
        return self.rng.choice(self.markets[:3] if self.rng.random() < 0.5 else self.markets)

    def amount(self, token: Token) -> int:
        """Mostly a few to many tokens, now and then dust."""
        lowest = 0 if self.rng.random() < 0.15 else token.decimals or 0
        return int(10 ** self.rng.uniform(lowest, 4 + (token.decimals or 0)))

    def invoke(self, sender: str, signature: str, *arguments: object) -> Tx:
        return invoke(sender, self.address, signature, *arguments)

    def stored(self, market: Market, block: int | str = "latest") -> Numbers:
        """What a market stores after a block."""
        answer = self.node.eth_call(self.address, calldata("market(bytes32)", bytes.fromhex(market.id[2:])), block)
        return Numbers(**dict(zip(Numbers.__dataclass_fields__, decode(["uint128"] * 6, answer), strict=True)))

    def held(self, market: Market, owner: str, block: int | str = "latest") -> Held:
        """What a position stores after a block."""
        asked = calldata("position(bytes32,address)", bytes.fromhex(market.id[2:]), owner)
        answer = decode(["uint256", "uint128", "uint128"], self.node.eth_call(self.address, asked, block))
        return Held(**dict(zip(Held.__dataclass_fields__, answer, strict=True)))

    def probed(self, market: Market, block: int) -> tuple[int, Numbers, dict[str, Held]]:
        """The time of a call after a block, and what the market and everybody would have if interest were added then."""
        signature = f"look(address,bytes32,{PARAMS},address[])"
        asked = calldata(signature, self.address, bytes.fromhex(market.id[2:]), market.params, self.everybody)
        answer = self.node.eth_call(self.prober, asked, block)
        time, numbers, held = decode(["uint256", "uint128[6]", "uint256[3][]"], answer)
        people = [Held(**dict(zip(Held.__dataclass_fields__, each, strict=True))) for each in held]
        return (
            time,
            Numbers(**dict(zip(Numbers.__dataclass_fields__, numbers, strict=True))),
            dict(zip(self.everybody, people, strict=True)),
        )

    def price(self, market: Market, block: int | str = "latest") -> int | None:
        """What a market's oracle answers; `None` where it reverts or there is none."""
        try:
            answer = self.node.eth_call(market.oracle, calldata("price()"), block)
            return int(decode(["uint256"], answer)[0])
        except (RpcError, ValueError):
            return None

    def refuses_to_liquidate(self, market: Market, owner: str, block: int) -> bool:
        """Whether the contract calls a position healthy: the error with which it refuses to liquidate one share of it."""
        signature = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
        asked = {"from": self.liquidator, "to": self.address}
        asked["data"] = calldata(signature, market.params, owner, 0, 1, b"")
        try:
            self.node.call("eth_call", asked, hex(block))
        except RpcError as error:
            return "position is healthy" in str(error)
        return False


def supply(lending: Lending) -> Tx:
    market, owner = lending.market(), lending.person()
    return lending.invoke(
        lending.person(), f"supply({PARAMS},uint256,uint256,address,bytes)", market.params,
        lending.amount(market.loan), 0, owner, b"",
    )  # fmt: skip


def withdraw(lending: Lending) -> Tx:
    """A part of the shares, or all of them; sometimes more than there is."""
    market, owner = _somebody(lending, lambda market, who: lending.held(market, who).supply_shares)
    shares = lending.held(market, owner).supply_shares
    part = shares if lending.rng.random() < 0.3 else lending.rng.randint(0, shares + shares // 10)
    return lending.invoke(
        owner, f"withdraw({PARAMS},uint256,uint256,address,address)", market.params, 0, part, owner, lending.person()
    )


def pledge(lending: Lending) -> Tx:
    market, owner = lending.market(), lending.person()
    amount = lending.amount(market.collateral)
    return lending.invoke(
        lending.person(), f"supplyCollateral({PARAMS},uint256,address,bytes)", market.params, amount, owner, b""
    )


def unpledge(lending: Lending) -> Tx:
    market, owner = _somebody(lending, lambda market, who: lending.held(market, who).collateral)
    held = lending.held(market, owner).collateral
    amount = held if lending.rng.random() < 0.3 else lending.rng.randint(0, held)
    return lending.invoke(
        owner, f"withdrawCollateral({PARAMS},uint256,address,address)", market.params, amount, owner, owner
    )


def borrow(lending: Lending) -> Tx:
    """Up to a bit more than the collateral allows, and than anybody has lent."""
    market, owner, amount = max((_room(lending) for _ in range(10)), key=lambda room: room[2] > 0)
    share = lending.rng.choice((60, 90, 99, 99, 100, 101))
    return lending.invoke(
        owner, f"borrow({PARAMS},uint256,uint256,address,address)", market.params, max(0, amount) * share // 100, 0, owner,
        lending.person(),
    )  # fmt: skip


def _somebody(lending: Lending, measure: Callable[[Market, str], int]) -> tuple[Market, str]:
    """Somebody in some market, mostly one for whom there is something to measure."""
    chosen = [(lending.market(), lending.person()) for _ in range(8)]
    return next((pair for pair in chosen if measure(*pair) > 0), chosen[0])


def _room(lending: Lending) -> tuple[Market, str, int]:
    """Somebody in some market, and what he can borrow there as far as his collateral and the market go."""
    market, owner = lending.market(), lending.person()
    price, held, stored = lending.price(market) or 0, lending.held(market, owner), lending.stored(market)
    most = held.collateral * price // 10**36 * market.lltv // WAD
    owed = held.borrow_shares * (stored.borrow_assets + 1) // (stored.borrow_shares + 10**6)
    return market, owner, min(most - owed, stored.supply_assets - stored.borrow_assets)


def repay(lending: Lending) -> Tx:
    """All shares, or some assets of a debt, by anybody."""
    market, owner = _somebody(lending, lambda market, who: lending.held(market, who).borrow_shares)
    shares = lending.held(market, owner).borrow_shares
    signature = f"repay({PARAMS},uint256,uint256,address,bytes)"
    if lending.rng.random() < 0.5:
        return lending.invoke(lending.person(), signature, market.params, 0, shares, owner, b"")
    assets = lending.amount(market.loan) // 100
    return lending.invoke(lending.person(), signature, market.params, assets, 0, owner, b"")


def liquidate(lending: Lending) -> Tx:
    """All collateral, which leaves bad debt, or a part of a debt, of somebody who may be healthy."""
    height = lending.node.height()

    def badness(market: Market, who: str) -> int:
        owing = lending.held(market, who).borrow_shares > 0
        return int(owing) + int(owing and not lending.refuses_to_liquidate(market, who, height)) - 1

    market, owner = _somebody(lending, badness)
    held = lending.held(market, owner)
    seized = held.collateral * lending.rng.choice((0, 0, 10, 100, 100)) // 100
    shares = 0 if seized else lending.rng.randint(1, 1 + held.borrow_shares // 3)
    signature = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
    return lending.invoke(lending.liquidator, signature, market.params, owner, seized, shares, b"")


def accrue(lending: Lending) -> Tx:
    return lending.invoke(lending.person(), f"accrueInterest({PARAMS})", lending.market().params)


def set_fee(lending: Lending) -> Tx:
    fee = lending.rng.choice((0, 10**16, 10**17, WAD // 4))
    return lending.invoke(lending.admin, f"setFee({PARAMS},uint256)", lending.market().params, fee)


def set_fee_recipient(lending: Lending) -> Tx:
    recipient = lending.rng.choice((NOWHERE, lending.admin, lending.people[0]))
    return lending.invoke(lending.admin, "setFeeRecipient(address)", recipient)


def move_price(lending: Lending) -> Tx:
    name = lending.rng.choice(list(lending.feeds))
    factor = lending.rng.uniform(0.97, 1.03) if name == "USDC" else lending.rng.choice((0.3, 0.4, 0.5, 0.7, 0.9, 1.0))
    answer = max(1, int(PRICES[name] * factor))
    return feeds.transmit(lending.node, lending.feeds[name], answer)


def move_mock(lending: Lending) -> Tx:
    return invoke(lending.admin, lending.mock, "setPrice(uint256)", int(2 * 10**27 * lending.rng.uniform(0.5, 1.5)))


def donate(lending: Lending) -> Tx:
    """Give the contract tokens that are nobody's."""
    token = lending.market().loan
    return invoke(lending.person(), token.address, "transfer(address,uint256)", lending.address, 1)


PLANS: Mapping[str, tuple[Callable[[Lending], Tx], int]] = {
    "supply": (supply, 20),
    "withdraw": (withdraw, 8),
    "pledge": (pledge, 16),
    "unpledge": (unpledge, 6),
    "borrow": (borrow, 22),
    "repay": (repay, 7),
    "liquidate": (liquidate, 11),
    "accrue": (accrue, 5),
    "set_fee": (set_fee, 3),
    "set_fee_recipient": (set_fee_recipient, 2),
    "move_price": (move_price, 8),
    "move_mock": (move_mock, 1),
    "donate": (donate, 1),
}


@contextmanager
def build(
    *, chain_id: int = CHAIN_ID, seed: int = 1, users: int = USERS, actions: int = ACTIONS, fixed: bool = False
) -> Iterator[Lending]:
    """A chain with a deployment and people who used it; with `fixed`, its first market has a rate that is set once."""
    with anvil(chain_id=chain_id) as node:
        ledger = Ledger(node)
        admin, liquidator = keys.address(seed, "admin"), keys.address(seed, "liquidator")
        people = keys.owners(seed, range(users))
        ledger.enrich((admin, liquidator, *people))
        lending = deploy(
            ledger, chain_id=chain_id, seed=seed, admin=admin, liquidator=liquidator, people=people, fixed=fixed
        )
        lending.run(actions)
        yield lending


def deploy(
    ledger: Ledger, *, chain_id: int, seed: int, admin: str, liquidator: str, people: Sequence[str], fixed: bool = False
) -> Lending:
    """A fresh deployment whose markets begin one after the other."""
    code = package_bytecode(*SOURCES)
    ledger.idle(3)
    address = ledger.deploy(admin, code["Morpho"], ["address"], [admin])
    start_block = ledger.node.height()
    adaptive = ledger.deploy(admin, code["AdaptiveCurveIrm"], ["address"], [address])
    flat, mock = ledger.deploy(admin, code["IrmMock"]), ledger.deploy(admin, code["OracleMock"])
    ledger.do(invoke(admin, mock, "setPrice(uint256)", 2 * 10**27))
    sources = {name: deploy_feed(ledger, admin, f"{name} / USD", answer) for name, answer in PRICES.items()}
    tokens = {
        symbol: deploy_token(ledger, admin, symbol, decimals)
        for symbol, decimals in (("USDC", 6), ("WETH", 18), ("WBTC", 8), ("LST", 18))
    }
    once = ledger.deploy(admin, own_bytecode("SetOnceRate")) if fixed else ""
    models = {"adaptive": adaptive, "flat": flat, "none": NOWHERE, **({"fixed": once} if fixed else {})}
    markets = tuple(_markets(ledger, admin, tokens=tokens, sources=sources, models=models, mock=mock))
    prober = ledger.deploy(admin, own_bytecode("Prober"))
    for model in models.values():
        ledger.do(invoke(admin, address, "enableIrm(address)", model))
    for lltv in sorted({market.lltv for market in markets}):
        ledger.do(invoke(admin, address, "enableLltv(uint256)", lltv))
    for market in markets:
        if market.irm == once:
            ledger.do(invoke(admin, once, "setBorrowRate(bytes32,uint256)", bytes.fromhex(market.id[2:]), FIXED_RATE))
        ledger.do(invoke(admin, address, f"createMarket({PARAMS})", market.params))
    everybody = (admin, liquidator, *people)
    for token in tokens.values():
        ledger.do(*(mint(token.address, who) for who in everybody))
        ledger.do(*(approve(token.address, who, address) for who in everybody))
    return Lending(
        chain_id=chain_id, ledger=ledger, address=address, start_block=start_block, admin=admin, liquidator=liquidator,
        prober=prober, probed_from=ledger.node.height(), people=tuple(people), feeds=sources, markets=markets, mock=mock,
        rng=Random(f"{seed}/{chain_id}/morpho"),
    )  # fmt: skip


def _markets(
    ledger: Ledger, admin: str, *, tokens: Mapping[str, Token], sources: Mapping[str, Feed],
    models: Mapping[str, str], mock: str,
) -> Iterator[Market]:  # fmt: skip
    def oracle(kind: str, loan: str, collateral: str, base: Sequence[str], quote: Sequence[str]) -> str:
        """A composed price whose scale is the one that its feeds and tokens need."""
        digits = 36 + (tokens[loan].decimals or 0) + 8 * len(quote) - (tokens[collateral].decimals or 0) - 8 * len(base)
        feeds_ = [[*(sources[name].proxy for name in names), NOWHERE, NOWHERE][:2] for names in (base, quote)]
        return ledger.deploy(admin, own_bytecode(kind), ORACLE_TYPES, [NOWHERE, *feeds_[0], *feeds_[1], 10**digits])

    def market(name: str, pair: str, oracle: str, irm: str, lltv: int, *, priced: bool = True) -> Market:
        loan, collateral = pair.split(" for ")
        return Market(
            name=name, loan=tokens[loan], collateral=tokens[collateral], oracle=oracle, irm=models[irm], lltv=lltv,
            priced=priced, modelled=irm != "flat",
        )  # fmt: skip

    ether = oracle("ComposedOracle", "USDC", "WETH", ["ETH"], ["USDC"])
    bitcoin = oracle("ComposedOracle", "WETH", "WBTC", ["BTC"], ["ETH"])
    staked = oracle("ComposedOracle", "USDC", "LST", ["LST", "ETH"], ["USDC"])
    if "fixed" in models:
        yield market("fixed", "USDC for WETH", ether, "fixed", 77 * 10**16)
    yield market("ether", "USDC for WETH", ether, "adaptive", 86 * 10**16)
    yield market("ether high", "USDC for WETH", ether, "adaptive", 945 * 10**15)
    yield market("bitcoin", "WETH for WBTC", bitcoin, "adaptive", 915 * 10**15)
    yield market("staked", "USDC for LST", staked, "adaptive", 77 * 10**16)
    yield market("no interest", "USDC for WETH", ether, "none", 385 * 10**15)
    yield market("flat", "USDC for WETH", ether, "flat", 625 * 10**15)
    yield market("idle", "USDC for USDC", NOWHERE, "none", 0, priced=False)
    yield market("mock", "USDC for WETH", mock, "adaptive", 86 * 10**16, priced=False)
    false = oracle("FalseOracle", "USDC", "WETH", ["ETH"], ["USDC"])
    yield market("false", "USDC for WETH", false, "adaptive", 77 * 10**16, priced=False)
