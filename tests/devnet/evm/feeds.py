"""Price feeds: an aggregator that publishes, behind a proxy that outlives it."""

from dataclasses import dataclass

from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import Ledger, Tx, invoke
from tests.devnet.evm.node import Node

FEED_DECIMALS = 8
UNIT = 10**8


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed by the address that never changes."""

    description: str
    proxy: str
    owner: str


def deploy_feed(ledger: Ledger, owner: str, description: str, answer: int) -> Feed:
    """A new feed with its first answer."""
    aggregator = deploy_aggregator(ledger, owner, description, answer)
    proxy = ledger.deploy(owner, own_bytecode("FeedProxy"), ["address"], [aggregator])
    return Feed(description=description, proxy=proxy, owner=owner)


def deploy_aggregator(ledger: Ledger, owner: str, description: str, answer: int) -> str:
    """An aggregator that nobody reads yet, with one answer."""
    code = own_bytecode("Aggregator")
    aggregator = ledger.deploy(owner, code, ["uint8", "string"], [FEED_DECIMALS, description])
    ledger.do(invoke(owner, aggregator, "transmit(int256)", answer))
    return aggregator


def aggregator_of(node: Node, feed: Feed, block: int | str = "latest") -> str:
    """The aggregator behind a feed's proxy at a block."""
    (aggregator,) = decode(["address"], node.eth_call(feed.proxy, calldata("aggregator()"), block))
    return str(aggregator)


def answer_of(node: Node, feed: Feed, block: int | str = "latest") -> int:
    """The feed's newest answer at a block. Raises RpcError while the feed is down."""
    (answer,) = decode(["int256"], node.eth_call(feed.proxy, calldata("latestAnswer()"), block))
    return int(answer)


def transmit(node: Node, feed: Feed, answer: int, *, updated_at: int | None = None) -> Tx:
    """Publish an answer, as of its block or of another time."""
    aggregator = aggregator_of(node, feed)
    if updated_at is None:
        return invoke(feed.owner, aggregator, "transmit(int256)", answer)
    return invoke(feed.owner, aggregator, "transmitAt(int256,uint256)", answer, updated_at)


def set_updated_at(node: Node, feed: Feed, updated_at: int) -> Tx:
    """Change the age of the newest answer, silently."""
    return invoke(feed.owner, aggregator_of(node, feed), "setUpdatedAt(uint256)", updated_at)


def set_reverting(node: Node, feed: Feed, *, reverting: bool) -> Tx:
    """Make every read of the feed's answers revert, or heal it."""
    return invoke(feed.owner, aggregator_of(node, feed), "setReverting(bool)", reverting)


def change_aggregator(feed: Feed, aggregator: str) -> tuple[Tx, Tx]:
    """Begin the next phase: no log tells of it."""
    return (
        invoke(feed.owner, feed.proxy, "proposeAggregator(address)", aggregator),
        invoke(feed.owner, feed.proxy, "confirmAggregator(address)", aggregator),
    )
