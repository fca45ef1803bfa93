"""The exchange rate of a reserve as the program takes it: liquidity over collateral, each without decimals, I80F48 rounded down."""

from __future__ import annotations

from collections.abc import Callable

from chains.solana.marginfi.fixed import FRACTION_BITS, Overflowed, div_down, fits, power_of_ten, whole


def scaled_by_ratio(liquidity: int, supply: int, decimals: int) -> Callable[[int, int], int]:
    """Return the function that multiplies an oracle's integer by the rate; raises `Overflowed`.

    `liquidity`: I80F48 of raw tokens; `supply`: raw collateral tokens. Of collateral that has no supply nothing is multiplied.
    """
    if liquidity < 0:
        raise Overflowed("a reserve owes more fees than it has liquidity")
    unit = power_of_ten(decimals)
    collateral = div_down(whole(supply), unit)
    ratio = None if collateral == 0 else div_down(div_down(fits(liquidity), unit), collateral)

    def scaled(number: int, bits: int) -> int:
        found = number if ratio is None else fits(whole(number) * ratio >> FRACTION_BITS) >> FRACTION_BITS
        return narrow(found, bits)

    return scaled


def narrow(number: int, bits: int) -> int:
    """Return a number that fits so many bits (signed where `bits` is negative); raises `Overflowed`."""
    low, high = (0, 1 << bits) if bits > 0 else (-(1 << -bits - 1), 1 << -bits - 1)
    if not low <= number < high:
        raise Overflowed(f"{number} has no room in {abs(bits)} bits")
    return number
