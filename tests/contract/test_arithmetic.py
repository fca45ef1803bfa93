"""The integer arithmetic of Aave and Morpho beside the protocols' own libraries, on a node, for whatever numbers are thought of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.evm.aave_v3 import maths as aave
from chains.evm.morpho_blue import curve
from chains.evm.morpho_blue import maths as morpho
from tests.devnet.evm import keys
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import package_bytecode
from tests.devnet.evm.ledger import Ledger
from tests.devnet.evm.node import Node

OWN = "./arithmetic/Arithmetic.sol"
IRM = "sphere-mezo-solidity-files/domains/morphoIrm/contracts/AdaptiveCurveIrm.sol"
PARAMS = "(address,address,address,address,uint256)"
MARKET = "(uint128,uint128,uint128,uint128,uint128,uint128)"
ASK_RATE = f"borrowRateView({PARAMS},{MARKET})"
YEAR = 365 * 86_400
RAY, WAD = 10**27, 10**18

amounts = st.integers(0, 2**112)
rays = st.integers(1, 2**104)
indexes = st.integers(RAY, 10**31)
ray_rates = st.integers(0, 20 * RAY)
wad_rates = st.integers(0, 8 * WAD // YEAR)
spans = st.one_of(st.integers(0, 4), st.integers(0, 3 * YEAR))
assets = st.integers(0, 2**100)


class Contracts:
    """The libraries and the interest rate model, deployed."""

    def __init__(self, node: Node) -> None:
        self.node = node
        ledger, admin = Ledger(node), keys.address(1, "admin")
        ledger.enrich((admin,))
        code = package_bytecode(OWN, IRM)
        self.aave, self.morpho = (ledger.deploy(admin, code[name]) for name in ("AaveArithmetic", "MorphoArithmetic"))
        self.irm = ledger.deploy(admin, code["AdaptiveCurveIrm"], ["address"], [self.morpho])
        self.now = int(node.header()["timestamp"], 16)

    def ask(self, to: str, view: str, numbers: Sequence[int]) -> int:
        """The number that a view of numbers answers."""
        answer = self.node.eth_call(to, calldata(f"{view}({','.join(['uint256'] * len(numbers))})", *numbers))
        return int(answer, 16)

    def rate(self, at_target: int, totals: morpho.Totals) -> int:
        """What the model says of a market, after the rate at its target was put into its storage."""
        params = (*("0x" + "00" * 20,) * 4, 0)
        market_id = keccak(encode([PARAMS], [params]))
        slot = keccak(market_id + bytes(32))
        word = "0x" + at_target.to_bytes(32).hex()
        self.node.call("anvil_setStorageAt", self.irm, "0x" + slot.hex(), word)
        market = tuple(totals)
        return int(decode(["uint256"], self.node.eth_call(self.irm, calldata(ASK_RATE, params, market)))[0])


@pytest.fixture(scope="module")
def contracts() -> Iterator[Contracts]:
    with anvil(chain_id=31_337) as node:
        yield Contracts(node)


BINARY: tuple[tuple[str, Callable[[int, int], int], st.SearchStrategy[int], st.SearchStrategy[int]], ...] = (
    ("rayMul", aave.ray_mul, amounts, indexes),
    ("rayDiv", aave.ray_div, amounts, rays),
    ("wadDiv", aave.wad_div, amounts, rays),
    ("percentMul", aave.percent_mul, amounts, st.integers(0, 20_000)),
    ("linear", aave.linear_interest, ray_rates, spans),
    ("compounded", aave.compounded_interest, ray_rates, spans),
)


@pytest.mark.parametrize("view, ours, left, right", BINARY, ids=[each[0] for each in BINARY])
def test_the_arithmetic_of_aave_is_its_libraries(
    view: str,
    ours: Callable[[int, int], int],
    left: st.SearchStrategy[int],
    right: st.SearchStrategy[int],
    contracts: Contracts,
) -> None:
    @settings(max_examples=80)
    @given(left, right)
    def equal(a: int, b: int) -> None:
        assert ours(a, b) == contracts.ask(contracts.aave, view, (a, b))

    equal()


TERNARY: tuple[tuple[str, Callable[[int, int, int], int]], ...] = (
    ("toSharesDown", morpho.to_shares_down),
    ("toAssetsDown", morpho.to_assets_down),
    ("toAssetsUp", morpho.to_assets_up),
)


@pytest.mark.parametrize("view, ours", TERNARY, ids=[each[0] for each in TERNARY])
def test_the_shares_of_morpho_are_its_library_s(
    view: str, ours: Callable[[int, int, int], int], contracts: Contracts
) -> None:
    @settings(max_examples=80)
    @given(assets, assets, st.integers(0, 2**106))
    def equal(amount: int, total_assets: int, total_shares: int) -> None:
        numbers = amount, total_assets, total_shares
        assert ours(*numbers) == contracts.ask(contracts.morpho, view, numbers)

    equal()


@settings(max_examples=80)
@given(assets, assets, st.integers(1, 2**100))
def test_divisions_round_up_as_morpho_s_do(contracts: Contracts, a: int, b: int, divisor: int) -> None:
    assert morpho.mul_div_up(a, b, divisor) == contracts.ask(contracts.morpho, "mulDivUp", (a, b, divisor))


@settings(max_examples=80)
@given(wad_rates, spans)
def test_interest_grows_as_morpho_s_does(contracts: Contracts, rate: int, seconds: int) -> None:
    assert morpho.compounded(rate, seconds) == contracts.ask(contracts.morpho, "compounded", (rate, seconds))


@settings(max_examples=150)
@given(
    at_target=st.one_of(st.just(0), st.integers(WAD // 1_000 // YEAR, 2 * WAD // YEAR)),
    supplied=st.integers(0, 2**100),
    used=st.one_of(st.integers(0, WAD), st.integers(89 * WAD // 100, 91 * WAD // 100)),
    seconds=st.one_of(st.integers(0, 3_600), st.integers(0, 20 * YEAR)),
)
def test_the_curve_is_the_model_s(contracts: Contracts, at_target: int, supplied: int, used: int, seconds: int) -> None:
    totals = morpho.Totals(supplied, 0, supplied * used // WAD, 0, contracts.now - seconds, 0)
    assert curve.borrow_rate(at_target, totals, contracts.now).average == contracts.rate(at_target, totals)
