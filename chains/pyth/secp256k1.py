"""Who signed: the address behind a recoverable ECDSA signature over secp256k1.

Sources: SEC 1 (4.1.6, public key recovery), SEC 2 (2.4.1, the curve); addresses as Ethereum makes them, the last 20 bytes of
keccak-256 of the point.
"""

from __future__ import annotations

from eth_hash.auto import keccak

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
G = (
    0x79BE667E_F9DCBBAC_55A06295_CE870B07_029BFCDB_2DCE28D9_59F2815B_16F81798,
    0x483ADA77_26A3C465_5DA4FBFC_0E1108A8_FD17B448_A6855419_9C47D08F_FB10D4B8,
)

Jacobian = tuple[int, int, int]
"""x / z², y / z³; z is zero at infinity."""

INFINITY: Jacobian = (1, 1, 0)


def signer(digest: bytes, r: int, s: int, recovery: int) -> bytes | None:
    """Return the address that signed a digest of 32 bytes, `None` for what is no signature.

    `recovery` is 0 or 1: whether y of the point behind `r` is odd; an `r` beyond the order (2 and 3) does not occur.
    """
    if not (0 < r < N and 0 < s < N and recovery in {0, 1}):
        return None
    square = (r**3 + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        return None
    point = (r, y if y % 2 == recovery else P - y)
    inverse = pow(r, -1, N)
    found = _affine(_both(-int.from_bytes(digest) * inverse % N, G, s * inverse % N, point))
    if found is None:
        return None
    return bytes(keccak(found[0].to_bytes(32) + found[1].to_bytes(32)))[12:]


def _both(a: int, first: tuple[int, int], b: int, second: tuple[int, int]) -> Jacobian:
    """Return a · first + b · second, bit by bit of both at once."""
    one, two = (*first, 1), (*second, 1)
    sums = (None, one, two, _add(one, two))
    result = INFINITY
    for place in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        result = _double(result)
        addend = sums[(a >> place & 1) | (b >> place & 1) << 1]
        if addend is not None:
            result = _add(result, addend)
    return result


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    if not y or not z:
        return INFINITY
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * x * x % P
    new = (m * m - 2 * s) % P
    return new, (m * (s - new) - 8 * yy * yy) % P, 2 * y * z % P


def _add(one: Jacobian, two: Jacobian) -> Jacobian:
    if not one[2]:
        return two
    if not two[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, two
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * zz2 % P, x2 * zz1 % P
    s1, s2 = y1 * zz2 * z2 % P, y2 * zz1 * z1 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else INFINITY
    h, r = (u2 - u1) % P, (s2 - s1) % P
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - s1 * hhh) % P, z1 * z2 * h % P


def _affine(point: Jacobian) -> tuple[int, int] | None:
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, P)
    return x * inverse**2 % P, y * inverse**3 % P
