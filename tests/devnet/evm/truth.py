"""What the contracts themselves say at a block, asked by `eth_call` and computed by nobody else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.devnet.evm.aave import address_in, reserve_data
from tests.devnet.evm.abi import calldata, decode, topic
from tests.devnet.evm.market import Market
from tests.devnet.evm.node import Node, eth_call_request
from tests.devnet.evm.scene import AccountData, parse_account

NOBODY_TOPIC = "0x" + "00" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedReserve:
    """A reserve as the pool lists it at a block."""

    number: int
    asset: str
    a_token: str
    variable_debt_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One block's answers. What the contracts refuse to answer is named, not missing silently."""

    block: int
    block_hash: str
    reserves: tuple[ListedReserve, ...]
    accounts: Mapping[str, AccountData]
    refused_accounts: frozenset[str]
    scaled_balances: Mapping[str, Mapping[str, int]]
    scaled_totals: Mapping[str, int]
    prices: Mapping[str, int]
    refused_prices: frozenset[str]


def truth_at(node: Node, market: Market, block: int, holders: Iterable[str] | None = None) -> Truth:
    """Everything about these holders at a block; by default about everybody who held anything until then.

    `scaled_balances` is by token, then by holder; `prices` by asset, in the oracle's base units.
    """
    owners = tuple(holders) if holders is not None else all_holders(node, market, block)
    reserves = listed_reserves(node, market, block)
    tokens = [token for reserve in reserves for token in (reserve.a_token, reserve.variable_debt_token)]
    accounts = answers(node, block, {o: (market.pool, account_question(o)) for o in owners})
    oracle = address_in(node, market.provider, "getPriceOracle()", block)
    prices = answers(node, block, {r.asset: (oracle, price_question(r.asset)) for r in reserves})
    return Truth(
        block=block,
        block_hash=str(node.header(block)["hash"]),
        reserves=reserves,
        accounts={owner: parse_account(answer) for owner, answer in accounts.items()},
        refused_accounts=frozenset(owners) - accounts.keys(),
        scaled_balances={token: scaled_balances(node, token, owners, block) for token in tokens},
        scaled_totals=integers(node, block, {token: (token, calldata("scaledTotalSupply()")) for token in tokens}),
        prices={asset: int(answer, 16) for asset, answer in prices.items()},
        refused_prices=frozenset(reserve.asset for reserve in reserves) - prices.keys(),
    )


def all_holders(node: Node, market: Market, block: int) -> tuple[str, ...]:
    """Everybody who ever received or owed a reserve's token until a block, the treasury included."""
    tokens = {
        token
        for reserve in (*market.reserves, *market.dropped)
        for token in (reserve.a_token, reserve.variable_debt_token)
    }
    question = {
        "fromBlock": "0x0",
        "toBlock": hex(block),
        "address": sorted(tokens),
        "topics": [topic("Transfer(address,address,uint256)")],
    }
    parties = {party for log in node.call("eth_getLogs", question) for party in log["topics"][1:3]}
    return tuple(sorted({market.treasury, *("0x" + party[26:] for party in parties - {NOBODY_TOPIC})}))


def listed_reserves(node: Node, market: Market, block: int) -> tuple[ListedReserve, ...]:
    """The pool's list at a block; empty before there is a pool."""
    answer = node.eth_call(market.pool, calldata("getReservesList()"), block)
    if answer == "0x":
        return ()
    (assets,) = decode(["address[]"], answer)
    return tuple(listed_reserve(node, market, str(asset), block) for asset in assets)


def listed_reserve(node: Node, market: Market, asset: str, block: int) -> ListedReserve:
    """One reserve of the pool's list."""
    number, a_token, _, variable = reserve_data(node, market.pool, asset, block)
    return ListedReserve(number=number, asset=asset, a_token=a_token, variable_debt_token=variable)


def scaled_balances(node: Node, token: str, owners: Sequence[str], block: int) -> dict[str, int]:
    """What each owner holds of a token, in scaled units."""
    return integers(node, block, {o: (token, calldata("scaledBalanceOf(address)", o)) for o in owners})


def account_question(owner: str) -> str:
    return calldata("getUserAccountData(address)", owner)


def price_question(asset: str) -> str:
    return calldata("getAssetPrice(address)", asset)


def integers(node: Node, block: int, questions: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """One number for each question. Raises KeyError when a contract refuses one."""
    found = answers(node, block, questions)
    return {key: int(found[key], 16) for key in questions}


def answers(node: Node, block: int, questions: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """What contracts answered, without those that reverted or do not exist."""
    requests = [eth_call_request(to, question, block) for to, question in questions.values()]
    replies = zip(questions, node.try_batch(requests), strict=True)
    return {key: reply["result"] for key, reply in replies if reply.get("result", "0x") != "0x"}
