"""MetaMorpho vaults on top of a Morpho Blue in use: their own contract from its package, and a seeded crowd that uses them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import package_bytecode
from tests.devnet.evm.ledger import DEPLOY_GAS, Tx, invoke
from tests.devnet.evm.morpho import PARAMS, WAD, Lending, Market, build
from tests.devnet.evm.node import Node
from tests.devnet.evm.vault import BLOCK_SIZES, Token, approve

FACTORY = "sphere-mezo-solidity-files/domains/metamorpho/contracts/MetaMorphoFactory.sol"
DAY = 86_400
MOST = 2**256 - 1
GAS = 10_000_000
ALLOCATIONS = f"reallocate(({PARAMS},uint256)[])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A vault with the markets that its curator may use, and the market in which its shares are collateral."""

    address: str
    asset: Token
    markets: tuple[Market, ...]
    pledged_in: Market


@dataclass(slots=True, kw_only=True)
class Vaults:
    """Vaults in use. What their people do depends on the seed and the chain alone."""

    lending: Lending
    factory: str
    vaults: tuple[Vault, ...]
    probed_from: int
    rng: Random
    succeeded: Counter[str] = field(default_factory=Counter)

    @property
    def node(self) -> Node:
        """The node of the chain."""
        return self.lending.node

    def run(self, actions: int) -> None:
        """Let so many things happen to vaults, and as many to the markets under them."""
        done = 0
        while done < actions:
            weights = [weight for _, weight in PLANS.values()]
            kinds = self.rng.choices(list(PLANS), weights, k=self.rng.choice(BLOCK_SIZES))
            txs = [PLANS[kind][0](self) for kind in kinds]
            seconds = self.rng.choice((1, 12, 12, 3_600, DAY, 9 * DAY))
            for kind, receipt in zip(kinds, self.lending.ledger.mine(*txs, seconds=seconds), strict=True):
                self.succeeded[kind] += receipt.succeeded
            self.lending.run(max(1, len(kinds)))
            done += len(kinds)

    def vault(self) -> Vault:
        return self.rng.choice(self.vaults)

    def person(self) -> str:
        return self.lending.person()

    def invoke(self, sender: str, vault: Vault, signature: str, *arguments: object) -> Tx:
        return invoke(sender, vault.address, signature, *arguments, gas=GAS)

    def managed(self, vault: Vault, signature: str, *arguments: object) -> Tx:
        return self.invoke(self.lending.admin, vault, signature, *arguments)

    def ask(self, vault: Vault, signature: str, *arguments: object, block: int | str = "latest") -> int:
        """One integer that a vault answers."""
        answer = self.node.eth_call(vault.address, calldata(signature, *arguments), block)
        return int(decode(["uint256"], answer)[0])

    def queue(self, vault: Vault, block: int | str = "latest") -> list[str]:
        """The ids of a vault's withdraw queue."""
        length = self.ask(vault, "withdrawQueueLength()", block=block)
        asked = [calldata("withdrawQueue(uint256)", i) for i in range(length)]
        return [self.node.eth_call(vault.address, each, block) for each in asked]


def deposit(vaults: Vaults) -> Tx:
    vault, who = vaults.vault(), vaults.person()
    return vaults.invoke(who, vault, "deposit(uint256,address)", vaults.lending.amount(vault.asset), vaults.person())


def redeem(vaults: Vaults) -> Tx:
    """A part of somebody's shares, or all of them."""
    vault, who = vaults.vault(), vaults.person()
    held = vaults.ask(vault, "balanceOf(address)", who)
    part = held if vaults.rng.random() < 0.2 else vaults.rng.randint(0, held)
    return vaults.invoke(who, vault, "redeem(uint256,address,address)", part, who, who)


def withdraw(vaults: Vaults) -> Tx:
    vault, who = vaults.vault(), vaults.person()
    most = vaults.ask(vault, "maxWithdraw(address)", who)
    part = vaults.rng.randint(0, most)
    return vaults.invoke(who, vault, "withdraw(uint256,address,address)", part, who, who)


def transfer(vaults: Vaults) -> Tx:
    vault, who = vaults.vault(), vaults.person()
    held = vaults.ask(vault, "balanceOf(address)", who)
    return vaults.invoke(who, vault, "transfer(address,uint256)", vaults.person(), vaults.rng.randint(0, held))


def pledge(vaults: Vaults) -> Tx:
    """Put shares down as collateral."""
    vault, who = vaults.vault(), vaults.person()
    amount = vaults.rng.randint(0, vaults.ask(vault, "balanceOf(address)", who))
    signature = f"supplyCollateral({PARAMS},uint256,address,bytes)"
    return vaults.lending.invoke(who, signature, vault.pledged_in.params, amount, who, b"")


def give(vaults: Vaults) -> Tx:
    """Supply to a market in a vault's name, which anybody may."""
    vault = vaults.vault()
    market = vaults.rng.choice(vault.markets)
    amount = vaults.lending.amount(vault.asset) // 100
    signature = f"supply({PARAMS},uint256,uint256,address,bytes)"
    return vaults.lending.invoke(vaults.person(), signature, market.params, amount, 0, vault.address, b"")


def reallocate(vaults: Vaults) -> Tx:
    """Take one market down to a part of what the vault has there, and give it all to another."""
    vault = vaults.vault()
    source, target = vaults.rng.sample(vault.markets, 2)
    held = vaults.lending.held(source, vault.address).supply_shares // 10**6
    moves = [(source.params, vaults.rng.choice((0, held // 2, held // 10))), (target.params, MOST)]
    return vaults.managed(vault, ALLOCATIONS, moves)


def set_fee(vaults: Vaults) -> Tx:
    return vaults.managed(vaults.vault(), "setFee(uint256)", vaults.rng.choice((0, WAD // 100, WAD // 10, WAD // 2)))


def set_fee_recipient(vaults: Vaults) -> Tx:
    return vaults.managed(vaults.vault(), "setFeeRecipient(address)", vaults.person())


def shuffle_queue(vaults: Vaults) -> Tx:
    """Another order; now and then without one that has no cap any more, which may still hold something."""
    vault = vaults.vault()
    places = list(range(vaults.ask(vault, "withdrawQueueLength()")))
    vaults.rng.shuffle(places)
    if vaults.rng.random() < 0.4:
        ids = vaults.queue(vault)
        uncapped = [i for i in places if vaults.ask(vault, "config(bytes32)", bytes.fromhex(ids[i][2:])) == 0]
        places = [i for i in places if i not in uncapped[:1]]
    return vaults.managed(vault, "updateWithdrawQueue(uint256[])", places)


def supply_queue(vaults: Vaults) -> Tx:
    vault = vaults.vault()
    ids = [bytes.fromhex(market.id[2:]) for market in vault.markets]
    vaults.rng.shuffle(ids)
    return vaults.managed(vault, "setSupplyQueue(bytes32[])", ids[: vaults.rng.randint(1, len(ids))])


def lower_cap(vaults: Vaults) -> Tx:
    vault = vaults.vault()
    return vaults.managed(vault, f"submitCap({PARAMS},uint256)", vaults.rng.choice(vault.markets).params, 0)


def raise_cap(vaults: Vaults) -> Tx:
    vault = vaults.vault()
    cap = vaults.rng.choice((10**13, 10**24))
    return vaults.managed(vault, f"submitCap({PARAMS},uint256)", vaults.rng.choice(vault.markets).params, cap)


def accept_cap(vaults: Vaults) -> Tx:
    vault = vaults.vault()
    return vaults.managed(vault, f"acceptCap({PARAMS})", vaults.rng.choice(vault.markets).params)


def remove_market(vaults: Vaults) -> Tx:
    vault = vaults.vault()
    return vaults.managed(vault, f"submitMarketRemoval({PARAMS})", vaults.rng.choice(vault.markets).params)


PLANS: Mapping[str, tuple[Callable[[Vaults], Tx], int]] = {
    "deposit": (deposit, 24),
    "redeem": (redeem, 8),
    "withdraw": (withdraw, 8),
    "transfer": (transfer, 4),
    "pledge": (pledge, 6),
    "give": (give, 5),
    "reallocate": (reallocate, 14),
    "set_fee": (set_fee, 5),
    "set_fee_recipient": (set_fee_recipient, 3),
    "shuffle_queue": (shuffle_queue, 8),
    "supply_queue": (supply_queue, 4),
    "lower_cap": (lower_cap, 3),
    "raise_cap": (raise_cap, 3),
    "accept_cap": (accept_cap, 6),
    "remove_market": (remove_market, 4),
}


@contextmanager
def build_vaults(*, seed: int = 1, actions: int = 120, **options: Any) -> Iterator[Vaults]:
    """A chain with markets and vaults over them, which people used."""
    with build(seed=seed, actions=60, **options) as lending:
        vaults = open_vaults(lending, seed)
        vaults.run(actions)
        yield vaults


def open_vaults(lending: Lending, seed: int) -> Vaults:
    """A factory and three vaults of it, two of them of one asset; each has caps on its markets and a fee."""
    ledger, admin = lending.ledger, lending.admin
    code = package_bytecode(FACTORY)["MetaMorphoFactory"]
    factory = ledger.deploy(admin, code, ["address"], [lending.address])
    by_asset: dict[str, list[Market]] = {}
    for market in lending.markets:
        if market.modelled:
            by_asset.setdefault(market.loan.symbol, []).append(market)
    plans = [by_asset["USDC"], by_asset["USDC"][1:4], by_asset["WETH"]]
    made = tuple(_open(lending, factory, markets, number) for number, markets in enumerate(plans))
    lending.markets = (*lending.markets, *(vault.pledged_in for vault in made))
    rng = Random(f"{seed}/vaults")
    return Vaults(lending=lending, factory=factory, vaults=made, probed_from=ledger.node.height(), rng=rng)


def _open(lending: Lending, factory: str, markets: list[Market], number: int) -> Vault:
    ledger, admin, asset = lending.ledger, lending.admin, markets[0].loan
    signature = "createMetaMorpho(address,uint256,address,string,string,bytes32)"
    arguments = (admin, DAY, asset.address, f"Vault {number}", f"mm{number}", number.to_bytes(32))
    address = decode(["address"], lending.node.call("eth_call", {
        "from": admin, "to": factory, "data": calldata(signature, *arguments), "gas": hex(DEPLOY_GAS),
    }, "latest"))[0]  # fmt: skip
    ledger.do(invoke(admin, factory, signature, *arguments, gas=DEPLOY_GAS))
    share = Token(address=address, symbol=f"mm{number}", decimals=18)
    pledged_in = Market(
        name=f"shares {number}", loan=lending.markets[0].loan, collateral=share, oracle=lending.mock,
        irm=lending.markets[0].irm, lltv=86 * 10**16, priced=False, modelled=True,
    )  # fmt: skip
    ledger.do(invoke(admin, lending.address, f"createMarket({PARAMS})", pledged_in.params))
    if len(markets) == 1:
        markets = [*markets, _other(lending, markets[0])]
    for market in markets:
        ledger.do(invoke(admin, address, f"submitCap({PARAMS},uint256)", market.params, 10**24))
    ledger.do(seconds=DAY + 1)
    for market in markets:
        ledger.do(invoke(admin, address, f"acceptCap({PARAMS})", market.params))
    ids = [bytes.fromhex(market.id[2:]) for market in markets]
    ledger.do(invoke(admin, address, "setSupplyQueue(bytes32[])", ids))
    ledger.do(invoke(admin, address, "setFeeRecipient(address)", lending.people[0]))
    ledger.do(invoke(admin, address, "setFee(uint256)", WAD // 10))
    for who in lending.people:
        ledger.do(approve(asset.address, who, address), approve(address, who, lending.address))
    return Vault(address=address, asset=asset, markets=tuple(markets), pledged_in=pledged_in)


def _other(lending: Lending, market: Market) -> Market:
    """A second market like one, with another limit."""
    other = Market(
        name=f"{market.name} other", loan=market.loan, collateral=market.collateral, oracle=market.oracle, irm=market.irm,
        lltv=86 * 10**16, priced=market.priced, modelled=market.modelled,
    )  # fmt: skip
    lending.ledger.do(invoke(lending.admin, lending.address, f"createMarket({PARAMS})", other.params))
    lending.markets = (*lending.markets, other)
    return other
