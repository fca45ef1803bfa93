"""Integer arithmetic of aave-v3-core 1.19 and aave-v3-origin 3.1 to 3.7 (`WadRayMath`, `PercentageMath`, `MathUtils`).

"Half up" is the contracts' own rounding where a name does not say which way.
"""

WAD = 10**18
RAY = 10**27
SECONDS_PER_YEAR = 31_536_000
PERCENT = 10_000
_HALF_RAY = RAY // 2


def ray_mul(a: int, b: int) -> int:
    """Multiply two rays, half up."""
    return (a * b + _HALF_RAY) // RAY


def ray_div(a: int, b: int) -> int:
    """Divide two rays, half up."""
    return (a * RAY + b // 2) // b


def ray_mul_down(a: int, b: int) -> int:
    """Multiply two rays; never above the exact product."""
    return a * b // RAY


def ray_mul_up(a: int, b: int) -> int:
    """Multiply two rays; never below the exact product."""
    return -(-a * b // RAY)


def ray_div_down(a: int, b: int) -> int:
    """Divide two rays; never above the exact quotient."""
    return a * RAY // b


def ray_div_up(a: int, b: int) -> int:
    """Divide two rays; never below the exact quotient."""
    return -(-a * RAY // b)


def div_down(a: int, b: int) -> int:
    """Divide integers that are not negative; never above the exact quotient."""
    return a // b


def div_up(a: int, b: int) -> int:
    """Divide integers that are not negative; never below the exact quotient."""
    return -(-a // b)


def wad_div(a: int, b: int) -> int:
    """Divide two wads, half up."""
    return (a * WAD + b // 2) // b


def percent_mul(value: int, basis_points: int) -> int:
    """Take so many basis points of a value, half up."""
    return (value * basis_points + PERCENT // 2) // PERCENT


def percent_mul_down(value: int, basis_points: int) -> int:
    """Take so many basis points of a value; never above the exact product."""
    return value * basis_points // PERCENT


def linear_interest(rate: int, seconds: int) -> int:
    """Return the ray factor of simple interest, down (`calculateLinearInterest`)."""
    return RAY + rate * seconds // SECONDS_PER_YEAR


def compounded_interest(rate: int, seconds: int) -> int:
    """Return the ray factor of the three-term binomial used up to revision 7 (`calculateCompoundedInterest`)."""
    if seconds == 0:
        return RAY
    two_fewer = max(seconds - 2, 0)
    power_two = ray_mul(rate, rate) // (SECONDS_PER_YEAR * SECONDS_PER_YEAR)
    power_three = ray_mul(power_two, rate) // SECONDS_PER_YEAR
    second = seconds * (seconds - 1) * power_two // 2
    third = seconds * (seconds - 1) * two_fewer * power_three // 6
    return RAY + rate * seconds // SECONDS_PER_YEAR + second + third


def compounded_interest_by_taylor(rate: int, seconds: int) -> int:
    """Return the ray factor of the three terms used from revision 8 on (`calculateCompoundedInterest`)."""
    grown = rate * seconds // SECONDS_PER_YEAR
    return RAY + grown + ray_mul(grown, grown // 2 + ray_mul(grown, grown // 6))


def percent_mul_up(value: int, basis_points: int) -> int:
    """Take so many basis points of a value; never below the exact product."""
    return -(-value * basis_points // PERCENT)


def percent_div(value: int, basis_points: int) -> int:
    """Return of what a value is so many basis points, half up."""
    return (value * PERCENT + basis_points // 2) // basis_points


def percent_div_down(value: int, basis_points: int) -> int:
    """Return of what a value is so many basis points; never above the exact quotient."""
    return value * PERCENT // basis_points


def percent_div_up(value: int, basis_points: int) -> int:
    """Return of what a value is so many basis points; never below the exact quotient."""
    return -(-value * PERCENT // basis_points)
