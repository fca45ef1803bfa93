"""Unbacked aTokens (to 3.3): a bridge mints them, and backs them with a fee when the tokens arrive."""

from collections.abc import Mapping, Sequence

from tests.devnet.evm import aave
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.ledger import Tx, invoke
from tests.devnet.evm.market import Market, Reserve
from tests.devnet.evm.people import Plan, some
from tests.devnet.evm.scene import Scene

CAP = 5_000_000
PROTOCOL_FEE_BPS = 3_000
FEE_SHARES = (0, 1, 3_000)
UNBACKED_WORD = 13
"""Where `getReserveData` has what is unbacked."""


def let_mint(market: Market, bridge: str) -> Sequence[Tx]:
    """Let a bridge mint aTokens of every reserve, up to a cap in whole tokens."""
    caps = [aave.configure(market, "setUnbackedMintCap(address,uint256)", each.asset, CAP) for each in market.reserves]
    role = invoke(market.admin, market.acl_manager, "addBridge(address)", bridge)
    return [role, aave.configure(market, "updateBridgeProtocolFee(uint256)", PROTOCOL_FEE_BPS), *caps]


def mint_unbacked(scene: Scene) -> Sequence[Tx]:
    reserve = scene.reserve()
    signature = "mintUnbacked(address,uint256,address,uint16)"
    amount, owner = some(scene, reserve), scene.person()
    return [invoke(scene.liquidator, scene.market.pool, signature, reserve.asset, amount, owner, 0)]


def back_unbacked(scene: Scene) -> Sequence[Tx]:
    """A part, all, or more than there is; the fee is nothing, one unit or a share."""
    owed = {reserve.asset: unbacked(scene, reserve) for reserve in scene.market.reserves}
    asset = scene.rng.choice([asset for asset, amount in owed.items() if amount] or list(owed))
    amount = scene.rng.choice([scene.part(owed[asset]), owed[asset], 2 * owed[asset]])
    share = scene.rng.choice(FEE_SHARES)
    return [backing(scene, asset, amount, share if share < 2 else amount // share)]


def backing(scene: Scene, asset: str, amount: int, fee: int) -> Tx:
    """Bring what a bridge owes, and its fee."""
    signature = "backUnbacked(address,uint256,uint256)"
    return invoke(scene.liquidator, scene.market.pool, signature, asset, amount, fee)


def back_all(scene: Scene) -> Sequence[Tx]:
    """Everything that is unbacked."""
    owed = {reserve.asset: unbacked(scene, reserve) for reserve in scene.market.reserves}
    return [backing(scene, asset, amount, 1) for asset, amount in owed.items() if amount]


def unbacked(scene: Scene, reserve: Reserve) -> int:
    """How many aTokens of a reserve have nothing behind them."""
    question = calldata("getReserveData(address)", reserve.asset)
    words = decode(["uint256"] * 15, scene.ledger.node.eth_call(scene.market.pool, question))
    return int(words[UNBACKED_WORD])


BRIDGE_PLANS: Mapping[str, tuple[Plan, int]] = {
    "mint_unbacked": (mint_unbacked, 6),
    "back_unbacked": (back_unbacked, 5),
}
