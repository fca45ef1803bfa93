"""A vault that holds ERC-20s for a seeded crowd, with tokens of several habits; on a chain of its own or beside others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.devnet.evm import keys
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.chain import CHAIN_ID
from tests.devnet.evm.ledger import Ledger, Tx, invoke
from tests.devnet.evm.node import Node, eth_call_request

SEED = 1
USERS = 12
ACTIONS = 120
BLOCKS_BEFORE = 3
MAX_UINT = 2**256 - 1
POCKET = 10**30
BLOCK_SIZES = (0, 1, 1, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An ERC-20 of the crowd; `decimals` is `None` where the token does not tell."""

    address: str
    symbol: str
    decimals: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A deployed vault; `start_block` is the block of its deployment."""

    address: str
    start_block: int
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTruth:
    """What the contracts say after a block: `balances` by (account, token), and what the vault holds of each token."""

    balances: Mapping[tuple[str, str], int]
    held: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class Custody:
    """A vault in use. What its people do depends on the seed and the chain alone."""

    chain_id: int
    ledger: Ledger
    vault: Vault
    people: tuple[str, ...]
    stranger: str
    rng: Random
    succeeded: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)

    @property
    def node(self) -> Node:
        """The node of the chain."""
        return self.ledger.node

    def run(self, actions: int) -> None:
        """Let so many things happen, several in one block, and nothing in another."""
        done = 0
        while done < actions:
            kinds = self.rng.choices(
                list(PLANS), [weight for _, weight in PLANS.values()], k=self.rng.choice(BLOCK_SIZES)
            )
            txs = [PLANS[kind][0](self) for kind in kinds]
            for kind, receipt in zip(kinds, self.ledger.mine(*txs), strict=True):
                (self.succeeded if receipt.succeeded else self.reverted)[kind] += 1
            done += len(kinds)

    def person(self) -> str:
        return self.rng.choice(self.people)

    def token(self) -> Token:
        return self.rng.choice(self.vault.tokens)

    def amount(self) -> int:
        """From a single raw unit to a large part of a pocket, every size alike likely."""
        return int(10 ** self.rng.uniform(0, 26))

    def credited(self, account: str, token: Token) -> int:
        """What the vault says now that an account may withdraw."""
        return int(self.node.eth_call(self.vault.address, balance_question(account, token.address)), 16)


def deposit(custody: Custody) -> Tx:
    return invoke(
        custody.person(), custody.vault.address, "deposit(address,uint256)", custody.token().address, custody.amount()
    )


def deposit_for(custody: Custody) -> Tx:
    signature = "depositFor(address,address,uint256)"
    account, token = custody.person(), custody.token().address
    return invoke(custody.person(), custody.vault.address, signature, account, token, custody.amount())


def deposit_unapproved(custody: Custody) -> Tx:
    """Somebody without tokens or allowances tries."""
    token = custody.token().address
    return invoke(custody.stranger, custody.vault.address, "deposit(address,uint256)", token, custody.amount())


def withdraw(custody: Custody) -> Tx:
    """A part, or all, of what somebody has; nothing of nothing."""
    account, token = custody.person(), custody.token()
    held = custody.credited(account, token)
    amount = held if custody.rng.random() < 0.3 else custody.rng.randint(0, held)
    return invoke(account, custody.vault.address, "withdraw(address,uint256)", token.address, amount)


def withdraw_to(custody: Custody) -> Tx:
    account, token = custody.person(), custody.token()
    amount = custody.rng.randint(0, custody.credited(account, token))
    signature = "withdrawTo(address,address,uint256)"
    return invoke(account, custody.vault.address, signature, token.address, custody.person(), amount)


def withdraw_too_much(custody: Custody) -> Tx:
    account, token = custody.person(), custody.token()
    amount = custody.credited(account, token) + 10**27
    return invoke(account, custody.vault.address, "withdraw(address,uint256)", token.address, amount)


def donate(custody: Custody) -> Tx:
    """A plain transfer, which the vault credits to nobody."""
    vault, amount = custody.vault.address, custody.amount()
    return invoke(custody.person(), custody.token().address, "transfer(address,uint256)", vault, amount)


PLANS = {
    "deposit": (deposit, 6),
    "deposit_for": (deposit_for, 2),
    "deposit_unapproved": (deposit_unapproved, 1),
    "withdraw": (withdraw, 5),
    "withdraw_to": (withdraw_to, 2),
    "withdraw_too_much": (withdraw_too_much, 1),
    "donate": (donate, 1),
}
"""What people do, and how often."""


@contextmanager
def build(
    *, chain_id: int = CHAIN_ID, seed: int = SEED, users: int = USERS, actions: int = ACTIONS
) -> Iterator[Custody]:
    """A chain with a vault and people who used it; everything but the port depends on the arguments alone."""
    with anvil(chain_id=chain_id) as node:
        ledger = Ledger(node)
        ledger.idle(BLOCKS_BEFORE)
        custody = open_custody(ledger, chain_id=chain_id, seed=seed, people=keys.owners(seed, range(users)))
        custody.run(actions)
        yield custody


def open_custody(ledger: Ledger, *, chain_id: int, seed: int, people: Sequence[str]) -> Custody:
    """A fresh vault with tokens on any chain, and people who let it take what they have."""
    admin, stranger = keys.address(seed, "vault admin"), keys.address(seed, "vault stranger")
    ledger.enrich((admin, stranger, *people))
    tokens = deploy_tokens(ledger, admin)
    address = ledger.deploy(admin, own_bytecode("Vault"))
    vault = Vault(address=address, start_block=ledger.node.height(), tokens=tokens)
    for token in tokens:
        ledger.do(*(mint(token.address, owner) for owner in people))
        ledger.do(*(approve(token.address, owner, vault.address) for owner in people))
    rng = Random(f"{seed}/{chain_id}/vault")
    return Custody(chain_id=chain_id, ledger=ledger, vault=vault, people=tuple(people), stranger=stranger, rng=rng)


def deploy_tokens(ledger: Ledger, admin: str) -> tuple[Token, ...]:
    """A usual token, one of six decimals, one that takes a fee, and one from before the standard."""
    fresh = [
        deploy_token(ledger, admin, symbol, decimals, fee_bps=fee_bps)
        for symbol, decimals, fee_bps in (("VTA", 18, 0), ("VTB", 6, 0), ("FEE", 18, 250))
    ]
    old = Token(address=ledger.deploy(admin, own_bytecode("OldToken")), symbol="OLD", decimals=None)
    return (*fresh, old)


def deploy_token(ledger: Ledger, admin: str, symbol: str, decimals: int, *, fee_bps: int = 0) -> Token:
    """An ERC-20 that anybody may mint and that burns a share of every transfer."""
    arguments = [symbol, decimals, fee_bps]
    address = ledger.deploy(admin, own_bytecode("Token"), ["string", "uint8", "uint256"], arguments)
    return Token(address=address, symbol=symbol, decimals=decimals)


def mint(token: str, owner: str, amount: int = POCKET) -> Tx:
    return invoke(owner, token, "mint(address,uint256)", owner, amount)


def approve(token: str, owner: str, spender: str) -> Tx:
    return invoke(owner, token, "approve(address,uint256)", spender, MAX_UINT)


def vault_truth_at(custody: Custody, block: int) -> VaultTruth:
    """What the contracts say of everybody and every token after a block."""
    node, vault = custody.node, custody.vault
    accounts = (*custody.people, custody.stranger)
    places = [(account, token.address) for account in accounts for token in vault.tokens]
    balances = integers(node, block, [(vault.address, balance_question(*place)) for place in places])
    tokens = [token.address for token in vault.tokens]
    held = integers(node, block, [(token, calldata("balanceOf(address)", vault.address)) for token in tokens])
    return VaultTruth(
        balances=dict(zip(places, balances, strict=True)),
        held=dict(zip(tokens, held, strict=True)),
    )


def balance_question(account: str, token: str) -> str:
    return calldata("balanceOf(address,address)", account, token)


def integers(node: Node, block: int, questions: Sequence[tuple[str, str]]) -> list[int]:
    """One number for each question; zero where there is no contract yet."""
    answers = node.batch([eth_call_request(to, question, block) for to, question in questions])
    return [0 if answer == "0x" else int(decode(["uint256"], answer)[0]) for answer in answers]
