"""Escrows of three kinds on a chain of their own, and a seeded crowd that uses them: account ids, shares, and bare addresses."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from tests.devnet.evm import keys
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.chain import CHAIN_ID
from tests.devnet.evm.ledger import Ledger, Tx, invoke, pay
from tests.devnet.evm.node import Node
from tests.devnet.evm.vault import Token, approve, deploy_token, mint

COIN = "0x" + "00" * 20
BLOCKS_BEFORE = 3
SIZES = (0, 0, 1, 1, 2, 3)

MARGIN_OPTIONS: Mapping[str, str | list[str]] = {
    "change_event": "event CollateralChanged(bytes32 indexed account, address indexed token, int256 amount)",
    "deposit_event": ["event Bonus(bytes32 indexed account, address token, uint128 amount)"],
    "owner_event": "event AccountOwned(bytes32 indexed account, address indexed owner)",
    "coin_address": COIN,
}
"""How the margin contract tells of what moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A contract, and the block that it was deployed in."""

    address: str
    start_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrows:
    """The chain, its contracts, and who uses them."""

    ledger: Ledger
    rng: Random
    admin: str
    people: tuple[str, ...]
    ids: tuple[bytes, ...]
    tokens: tuple[Token, ...]
    rebasing: str
    margin: Place
    shares: Place
    logic: tuple[str, str]

    @property
    def node(self) -> Node:
        return self.ledger.node

    def run(self, actions: int, plans: Mapping[str, "Plan"]) -> None:
        """Let so many things of some kinds happen, several in one block, and nothing in another; some of them fail."""
        done = 0
        while done < actions:
            txs = [plans[self.rng.choice(list(plans))](self) for _ in range(self.rng.choice(SIZES))]
            self.ledger.mine(*txs)
            done += len(txs)

    def person(self) -> str:
        return self.rng.choice(self.people)

    def amount(self) -> int:
        return int(10 ** self.rng.uniform(0, 20))


Plan = Callable[[Escrows], Tx]


def own(net: Escrows) -> Tx:
    return invoke(net.admin, net.margin.address, "open(bytes32,address)", net.rng.choice(net.ids), net.person())


def fund(net: Escrows) -> Tx:
    """A deposit of a token or of the coin under somebody's id."""
    account, amount, token = net.rng.choice(net.ids), net.amount(), net.rng.choice([COIN, net.tokens[0].address])
    value = amount if token == COIN else 0
    signature = "deposit(bytes32,address,uint256)"
    return invoke(net.person(), net.margin.address, signature, account, token, amount, value=value)


def draw(net: Escrows) -> Tx:
    account, token = net.rng.choice(net.ids), net.rng.choice([COIN, net.tokens[0].address])
    signature = "withdraw(bytes32,address,uint256)"
    return invoke(net.person(), net.margin.address, signature, account, token, net.amount() // 3)


def reward(net: Escrows) -> Tx:
    account, token = net.rng.choice(net.ids), net.tokens[0].address
    return invoke(net.admin, net.margin.address, "reward(bytes32,address,uint128)", account, token, net.amount() // 9)


MARGIN: Mapping[str, Plan] = {"own": own, "fund": fund, "more": fund, "draw": draw, "reward": reward}


def subscribe(net: Escrows) -> Tx:
    who = net.person()
    return invoke(who, net.shares.address, "deposit(uint256,address)", net.amount(), net.person())


def redeem(net: Escrows) -> Tx:
    who = net.person()
    return invoke(who, net.shares.address, "redeem(uint256,address,address)", net.amount() // 3, who, who)


def hand_over(net: Escrows) -> Tx:
    return invoke(net.person(), net.shares.address, "transfer(address,uint256)", net.person(), net.amount() // 5)


def earn(net: Escrows) -> Tx:
    return invoke(net.person(), net.tokens[0].address, "transfer(address,uint256)", net.shares.address, net.amount())


def lose(net: Escrows) -> Tx:
    return invoke(net.admin, net.shares.address, "lose(uint256)", net.amount() // 7)


SHARES: Mapping[str, Plan] = {
    "subscribe": subscribe,
    "more": subscribe,
    "redeem": redeem,
    "hand_over": hand_over,
    "earn": earn,
    "lose": lose,
}


def give(net: Escrows) -> Tx:
    token = net.rng.choice(net.tokens).address
    return invoke(net.person(), token, "transfer(address,uint256)", net.rng.choice(net.people[:3]), net.amount())


def send_coin(net: Escrows) -> Tx:
    return pay(net.rng.choice(net.people[3:]), net.rng.choice(net.people[:3]), net.amount())


def rebase(net: Escrows) -> Tx:
    return invoke(net.admin, net.rebasing, "rebase(uint256)", net.rng.randint(1, 10_000))


def give_rebasing(net: Escrows) -> Tx:
    receiver = net.rng.choice(net.people[:3])
    return invoke(net.admin, net.rebasing, "transfer(address,uint256)", receiver, net.amount())


CUSTODY: Mapping[str, Plan] = {"give": give, "send_coin": send_coin, "rebase": rebase, "give_rebasing": give_rebasing}


@contextmanager
def build(*, seed: int = 1, chain_id: int = CHAIN_ID) -> Iterator[Escrows]:
    """A chain with escrows that nobody used yet; everything but the port depends on the arguments alone."""
    with anvil(chain_id=chain_id) as node:
        ledger = Ledger(node)
        ledger.idle(BLOCKS_BEFORE)
        people, admin = keys.owners(seed, range(6)), keys.address(seed, "escrow admin")
        ledger.enrich((admin, *people))
        tokens = (deploy_token(ledger, admin, "VTB", 6), deploy_token(ledger, admin, "FEE", 18, fee_bps=250))
        rebasing = ledger.deploy(admin, own_bytecode("Rebasing"))
        margin_logic = [ledger.deploy(admin, own_bytecode("Margin")) for _ in range(2)]
        margin = _deployed(ledger, admin, "Upgradeable", ["address"], [margin_logic[0]])
        shares = _deployed(ledger, admin, "Shares", ["address"], [tokens[0].address])
        for token in tokens:
            ledger.do(*(mint(token.address, owner) for owner in people))
            for spender in (margin.address, shares.address):
                ledger.do(*(approve(token.address, owner, spender) for owner in people))
        rng = Random(f"{seed}/escrows")
        ids = tuple(rng.randbytes(32) for _ in range(5))
        yield Escrows(
            ledger=ledger, rng=rng, admin=admin, people=tuple(people), ids=ids, tokens=tokens, rebasing=rebasing,
            margin=margin, shares=shares, logic=(margin_logic[0], margin_logic[1]),
        )  # fmt: skip


def _deployed(ledger: Ledger, admin: str, contract: str, types: list[str], arguments: list[str]) -> Place:
    address = ledger.deploy(admin, own_bytecode(contract), types, arguments)
    return Place(address=address, start_block=ledger.node.height())
