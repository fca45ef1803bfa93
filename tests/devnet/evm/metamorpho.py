"""MetaMorpho vaults over the markets of a Morpho deployment, the vaults' own contract from its package, and a seeded crowd in them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import package_bytecode
from tests.devnet.evm.ledger import Tx, invoke
from tests.devnet.evm.morpho import DAY, PARAMS, WAD, Lending, Market
from tests.devnet.evm.vault import BLOCK_SIZES, Token, approve

SOURCES = (
    "sphere-mezo-solidity-files/domains/metamorpho/contracts/MetaMorpho.sol",
    "sphere-mezo-solidity-files/domains/metamorpho/contracts/MetaMorphoFactory.sol",
)
CAP = 10**24
LISTED = ("ether", "ether high", "no interest", "staked", "idle")
"""The markets that lend the first vault's asset and whose interest is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A vault, with the markets that it may use."""

    address: str
    asset: Token
    markets: tuple[Market, ...]


@dataclass(slots=True, kw_only=True)
class Pools:
    """Vaults in use. What their people do depends on the seed and the chain alone."""

    lending: Lending
    factory: str
    pools: tuple[Pool, ...]
    succeeded: Counter[str] = field(default_factory=Counter)

    def run(self, rounds: int) -> None:
        """Let things happen in the vaults, and in the markets below them, in turns."""
        lending = self.lending
        for _ in range(rounds):
            lending.run(lending.rng.choice((0, 1, 3, 6)))
            kinds = lending.rng.choices(list(PLANS), k=lending.rng.choice(BLOCK_SIZES))
            txs = [PLANS[kind](self, lending.rng.choice(self.pools)) for kind in kinds]
            seconds = lending.rng.choice((12, 3_600, DAY))
            for kind, receipt in zip(kinds, lending.ledger.mine(*txs, seconds=seconds), strict=True):
                self.succeeded[kind] += receipt.succeeded

    def shares(self, pool: Pool, owner: str) -> int:
        return self.asked(pool, "balanceOf(address)", owner)

    def asked(self, pool: Pool, view: str, *arguments: object, block: int | str = "latest") -> int:
        """What a vault answers after a block."""
        answer = self.lending.node.eth_call(pool.address, calldata(view, *arguments), block)
        return int(decode(["uint256"], answer)[0])


def deposit(pools: Pools, pool: Pool) -> Tx:
    amount, who = pools.lending.amount(pool.asset), pools.lending.person()
    return invoke(who, pool.address, "deposit(uint256,address)", amount, pools.lending.person(), gas=9_000_000)


def redeem(pools: Pools, pool: Pool) -> Tx:
    rng = pools.lending.rng
    owner = max((pools.lending.person() for _ in range(3)), key=lambda who: pools.shares(pool, who))
    held = pools.shares(pool, owner)
    part = held if rng.random() < 0.2 else rng.randint(0, held)
    return invoke(owner, pool.address, "redeem(uint256,address,address)", part, owner, owner, gas=9_000_000)


def withdraw(pools: Pools, pool: Pool) -> Tx:
    owner = max((pools.lending.person() for _ in range(3)), key=lambda who: pools.shares(pool, who))
    assets = pools.asked(pool, "maxWithdraw(address)", owner) // 3
    return invoke(owner, pool.address, "withdraw(uint256,address,address)", assets, owner, owner, gas=9_000_000)


def hand_over(pools: Pools, pool: Pool) -> Tx:
    owner = pools.lending.person()
    amount = pools.shares(pool, owner) // 4
    return invoke(owner, pool.address, "transfer(address,uint256)", pools.lending.person(), amount)


def give(pools: Pools, pool: Pool) -> Tx:
    """Supply to a market on the vault's behalf: nobody's shares, everybody's assets."""
    lending, market = pools.lending, pools.lending.rng.choice(pool.markets)
    amount = lending.amount(market.loan) // 10
    return lending.invoke(
        lending.person(), f"supply({PARAMS},uint256,uint256,address,bytes)", market.params, amount, 0, pool.address, b""
    )


def reallocate(pools: Pools, pool: Pool) -> Tx:
    lending = pools.lending
    source, target = lending.rng.choices(pool.markets, k=2)
    held, stored = lending.held(source, pool.address), lending.stored(source)
    assets = held.supply_shares * stored.supply_assets // (stored.supply_shares + 1)
    left = assets * lending.rng.choice((0, 1, 2, 3)) // 4
    moves = [(source.params, left), (target.params, 2**256 - 1)]
    return invoke(lending.admin, pool.address, f"reallocate(({PARAMS},uint256)[])", moves, gas=9_000_000)


def set_fee(pools: Pools, pool: Pool) -> Tx:
    fee = pools.lending.rng.choice((0, WAD // 20, WAD // 10, WAD // 2))
    return invoke(pools.lending.admin, pool.address, "setFee(uint256)", fee, gas=9_000_000)


def set_fee_recipient(pools: Pools, pool: Pool) -> Tx:
    who = pools.lending.person()
    return invoke(pools.lending.admin, pool.address, "setFeeRecipient(address)", who, gas=9_000_000)


def reorder(pools: Pools, pool: Pool) -> Tx:
    order = list(range(len(pool.markets)))
    pools.lending.rng.shuffle(order)
    return invoke(pools.lending.admin, pool.address, "updateWithdrawQueue(uint256[])", order, gas=9_000_000)


def redirect(pools: Pools, pool: Pool) -> Tx:
    markets = pools.lending.rng.sample(pool.markets, len(pool.markets))
    ids = [bytes.fromhex(market.id[2:]) for market in markets]
    return invoke(pools.lending.admin, pool.address, "setSupplyQueue(bytes32[])", ids, gas=9_000_000)


PLANS: Mapping[str, Callable[[Pools, Pool], Tx]] = {
    "deposit": deposit,
    "deposit again": deposit,
    "redeem": redeem,
    "withdraw": withdraw,
    "hand over": hand_over,
    "give": give,
    "reallocate": reallocate,
    "set fee": set_fee,
    "set fee recipient": set_fee_recipient,
    "reorder": reorder,
    "redirect": redirect,
}


def deploy(lending: Lending) -> Pools:
    """Two vaults of a factory, over markets that lend a token of six decimals and one of eighteen."""
    code = package_bytecode(*SOURCES)
    factory = lending.ledger.deploy(lending.admin, code["MetaMorphoFactory"], ["address"], [lending.address])
    by_name = {market.name: market for market in lending.markets}
    usdc, ether = tuple(by_name[name] for name in LISTED), (by_name["bitcoin"],)
    pools = tuple(_pool(lending, code["MetaMorpho"], markets) for markets in (usdc, ether))
    return Pools(lending=lending, factory=factory, pools=pools)


def _pool(lending: Lending, code: str, markets: tuple[Market, ...]) -> Pool:
    admin, ledger, asset = lending.admin, lending.ledger, markets[0].loan
    address = ledger.deploy(
        admin, code, ["address", "address", "uint256", "address", "string", "string"],
        [admin, lending.address, DAY, asset.address, f"Vault of {asset.symbol}", f"mm{asset.symbol}"],
    )  # fmt: skip
    for market in markets:
        ledger.do(invoke(admin, address, f"submitCap({PARAMS},uint256)", market.params, CAP), seconds=DAY)
    for market in markets:
        ledger.do(invoke(admin, address, f"acceptCap({PARAMS})", market.params), seconds=DAY)
    ids = [bytes.fromhex(market.id[2:]) for market in markets]
    ledger.do(invoke(admin, address, "setSupplyQueue(bytes32[])", ids))
    ledger.do(invoke(admin, address, "setFeeRecipient(address)", lending.people[0]))
    ledger.do(invoke(admin, address, "setFee(uint256)", WAD // 10))
    ledger.do(*(approve(asset.address, who, address) for who in lending.people))
    return Pool(address=address, asset=asset, markets=markets)
