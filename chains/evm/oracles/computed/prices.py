"""What computed price sources answer: the arithmetic of their contracts, in integers.

A formula takes numbers by name (what was read of the contract, the answers of its feeds, rates) and the time of the block in Unix
seconds. Sources: aave-capo and aave-price-feeds (`PriceCapAdapterBase`, `PriceCapAdapterStable`, `EURPriceCapAdapterStable`,
`PendlePriceCapAdapter`, `FixedPriceAdapter`, `CLSynchronicityPriceAdapter…`, `ScaledPriceAdapter`), comet (`contracts/pricefeeds`),
morpho-blue-oracles (`MorphoChainlinkOracleV2`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Numbers = Mapping[str, int]
Formula = Callable[[Numbers, int], int]

MAX_INT256 = 2**255 - 1
MAX_UINT256 = 2**256 - 1
BASIS_POINTS = 10_000


class Reverts(Exception):
    """The contract itself gives no answer."""


def computed(kind: str, numbers: Numbers, now: int) -> int | None:
    """Return what a source of this kind answers; `None` where it reverts."""
    try:
        return FORMULAS[kind](numbers, now)
    except Reverts:
        return None


def capped_ratio(n: Numbers, now: int) -> int:
    """Base price times the ratio, which counts up to a cap that grows every second; zero where either is not positive."""
    if n["base"] <= 0 or n["ratio"] <= 0:
        return 0
    if now < n["snapshot_time"]:
        raise Reverts
    most = n["snapshot_ratio"] + n["growth"] * (now - n["snapshot_time"]) // n["growth_scale"]
    return _int256(n["base"] * min(most, n["ratio"])) // _ten(n["ratio_decimals"])


def capped_ratio_scaled(n: Numbers, now: int) -> int:
    """The same, brought from the decimals of the base feed to the source's own."""
    return _rescaled(capped_ratio(n, now), n["feed_decimals"], n["decimals"])


def capped(n: Numbers, now: int) -> int:
    """Return the asset's price up to a cap; zero where it is not positive."""
    del now
    return max(min(n["asset"], n["cap"]), 0)


def capped_by_base(n: Numbers, now: int) -> int:
    """Return the asset's price up to a multiple of another price."""
    del now
    most = _truncated(_int256(n["base"] * n["cap_ratio"]), _ten(n["ratio_decimals"]))
    return min(n["asset"], most)


def peg_to_base(n: Numbers, now: int) -> int:
    """Asset in the peg, times the peg in the base."""
    del now
    if n["asset"] <= 0 or n["peg"] <= 0:
        return 0
    return _int256(_int256(n["asset"] * n["peg"]) * _ten(n["decimals"])) // n["denominator"]


def base_to_peg(n: Numbers, now: int) -> int:
    """Asset in the peg, over the base in the peg."""
    del now
    if n["asset"] <= 0 or n["base"] <= 0:
        return 0
    return _int256(n["asset"] * _ten(n["decimals"])) // n["base"]


def share_of_inverse(n: Numbers, now: int) -> int:
    """Return a fixed share of one over the base in the peg."""
    del now
    if n["base"] <= 0:
        return 0
    return _int256(n["price_ratio"] * n["multiplier"]) // _int256(BASIS_POINTS * n["base"])


def discounted(n: Numbers, now: int) -> int:
    """Return the asset's price less a discount that shrinks every second until maturity."""
    if n["asset"] <= 0:
        return 0
    discount = max(n["maturity"] - now, 0) * n["discount_rate"] // n["year"]
    if discount > n["whole"]:
        raise Reverts
    return _uint256(n["asset"] * (n["whole"] - discount)) // n["whole"]


def fixed(n: Numbers, now: int) -> int:
    """Return the price that somebody set."""
    del now
    return n["price"]


def scaled(n: Numbers, now: int) -> int:
    """Return another feed's answer times, or by, a power of ten."""
    del now
    return _int256(n["asset"] * n["factor"]) if n["up"] else _truncated(n["asset"], n["factor"])


def rescaled(n: Numbers, now: int) -> int:
    """Return another feed's answer, brought to the source's own decimals."""
    del now
    return _rescaled(n["asset"], n["feed_decimals"], n["decimals"])


def product(n: Numbers, now: int) -> int:
    """Two prices multiplied; zero where either is not positive."""
    del now
    if n["first"] <= 0 or n["second"] <= 0:
        return 0
    return _int256(_int256(n["first"] * n["second"]) * n["scale"]) // n["combined_scale"]


def quotient(n: Numbers, now: int) -> int:
    """One price over another; zero where either is not positive."""
    del now
    if n["first"] <= 0 or n["second"] <= 0:
        return 0
    above = _int256(_int256(n["first"] * _ten(n["second_decimals"])) * n["scale"])
    return above // n["second"] // n["first_scale"]


def composition(n: Numbers, now: int) -> int:
    """Scale · base parts / quote parts, rounded down; a part is the answer of a feed or what a vault's sample is worth."""
    del now
    above, below = (
        _multiplied(value for name, value in n.items() if name.startswith(side)) for side in ("base", "quote")
    )
    if below == 0:
        raise Reverts
    return _uint256(n["scale"] * above // below)


FORMULAS: Mapping[str, Formula] = {
    "capped_ratio": capped_ratio,
    "capped_ratio_scaled": capped_ratio_scaled,
    "capped": capped,
    "capped_by_base": capped_by_base,
    "peg_to_base": peg_to_base,
    "base_to_peg": base_to_peg,
    "share_of_inverse": share_of_inverse,
    "discounted": discounted,
    "fixed": fixed,
    "scaled": scaled,
    "rescaled": rescaled,
    "product": product,
    "quotient": quotient,
    "composition": composition,
}


def _ten(power: int) -> int:
    """Return a power of ten of at least one."""
    return int(10**power)


def _truncated(above: int, below: int) -> int:
    """Divide as Solidity does: toward zero."""
    if below == 0:
        raise Reverts
    size = abs(above) // abs(below)
    return size if (above < 0) == (below < 0) else -size


def _multiplied(parts: Iterable[int]) -> int:
    """Multiply in the order of the contract, which takes no negative part and no product that has no room, whatever follows."""
    result = 1
    for part in parts:
        if part < 0:
            raise Reverts
        result = _uint256(result * part)
    return result


def _rescaled(answer: int, decimals: int, wanted: int) -> int:
    if decimals < wanted:
        return _int256(answer * _ten(wanted - decimals))
    return _truncated(answer, _ten(decimals - wanted))


def _int256(value: int) -> int:
    if not -MAX_INT256 - 1 <= value <= MAX_INT256:
        raise Reverts
    return value


def _uint256(value: int) -> int:
    if value > MAX_UINT256:
        raise Reverts
    return value
