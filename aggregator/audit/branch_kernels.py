"""What numba compiles for `branches`. Importing it raises `ImportError` as `openssl` does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aggregator.audit.branches import DIGEST, DIGITS, Amounts, Bytes, Flags, Hashes, Offsets, Places
from aggregator.audit.c_functions import copy, find
from aggregator.audit.openssl import STATE, sha256_finish, sha256_start, sha256_update
from aggregator.audit.verifier import LEAF, NODE
from aggregator.jitted import jitted

BASE = np.uint64(10**DIGITS)
TEN = np.uint64(10)
ZERO = np.uint8(ord("0"))
END = ord("\n")
OF_LEAF, OF_NODE = ord(LEAF), ord(NODE)

compiled: Any = njit(error_model="numpy", nogil=True)


@jitted()
def leaves(
    counts: Offsets, unknown: Flags, which: Places, texts: Bytes, ends: Offsets, units: int, unknowns: int, limbs: int
) -> tuple[Offsets, Places, Amounts]:
    """Add up what each of some units holds; see `branches.Level`.

    `which`: the place of each position's sum. `texts`: the digits of amounts, which end before `ends`, each with one more sign.
    """
    most = len(which) + 2 * len(counts)
    starts, places, amounts = (
        np.zeros(len(counts) + 1, np.int64),
        np.empty(most, np.int32),
        np.empty((most, limbs), np.uint64),
    )
    size, position, begin = 0, 0, 0
    for leaf in range(len(counts)):
        first = size
        for _ in range(counts[leaf]):
            at, size = _room(places, amounts, first, size, which[position])
            _add_digits(amounts[at], texts, begin, ends[position])
            begin, position = ends[position] + 1, position + 1
        at, size = _room(places, amounts, first, size, units)
        amounts[at, 0] += np.uint64(1)
        at, size = _room(places, amounts, first, size, unknowns)
        amounts[at, 0] += np.uint64(unknown[leaf])
        starts[leaf + 1] = size
    return starts, places[:size].copy(), amounts[:size].copy()


@jitted()
def joined(starts: Offsets, places: Places, amounts: Amounts) -> tuple[Offsets, Places, Amounts]:
    """Join nodes in pairs; of an odd number the last goes up as it is."""
    nodes = len(starts) - 1
    above = np.zeros((nodes + 1) // 2 + 1, np.int64)
    ours, sums = np.empty(len(places), np.int32), np.empty(amounts.shape, np.uint64)
    size = 0
    for node in range(len(above) - 1):
        left, middle = starts[2 * node], starts[2 * node + 1]
        right, end = middle, starts[min(2 * node + 2, nodes)]
        while left < middle or right < end:
            takes_left = left < middle and (right == end or places[left] <= places[right])
            takes_right = right < end and (left == middle or places[right] <= places[left])
            ours[size] = places[left] if takes_left else places[right]
            sums[size] = amounts[left] if takes_left else amounts[right]
            if takes_left and takes_right:
                _add(sums[size], amounts[right])
            left, right, size = left + takes_left, right + takes_right, size + 1
        above[node + 1] = size
    return above, ours[:size].copy(), sums[:size].copy()


@jitted()
def leaf_hashes(
    counts: Offsets, units: Bytes, positions: Bytes, hashes: Hashes, lengths: Offsets
) -> tuple[int, int, int]:
    """Hash each unit's line with those of its positions, as far as whole lines of them are given.

    Returns how many units that were, and how many bytes of units and of positions these are.
    """
    state, mark = np.empty(STATE, np.uint8), np.array([OF_LEAF], np.uint8)
    leaf, of_units, of_positions = 0, 0, 0
    while leaf < len(counts):
        unit_end, end = _line_end(units, of_units), of_positions
        for _ in range(counts[leaf] if unit_end > 0 else 0):
            end = _line_end(positions, end)
            if end == 0:
                break
        if unit_end == 0 or (counts[leaf] > 0 and end == 0):
            break
        sha256_start(state.ctypes.data)
        sha256_update(state.ctypes.data, mark.ctypes.data, 1)
        sha256_update(state.ctypes.data, units.ctypes.data + of_units, unit_end - of_units)
        sha256_update(state.ctypes.data, positions.ctypes.data + of_positions, end - of_positions)
        sha256_finish(hashes[leaf].ctypes.data, state.ctypes.data)
        lengths[leaf] = unit_end - of_units
        leaf, of_units, of_positions = leaf + 1, unit_end, end
    return leaf, of_units, of_positions


@jitted()
def sums_hashes(
    starts: Offsets,
    places: Places,
    amounts: Amounts,
    words: Bytes,
    ends: Offsets,
    opened: Bytes,
    between: Bytes,
    closed: Bytes,
) -> Hashes:
    """Hash the sums of each node as `spelled` writes them."""
    hashes, state = np.empty((len(starts) - 1, DIGEST), np.uint8), np.empty(STATE, np.uint8)
    longest = amounts.shape[1] * DIGITS + len(between)
    text = np.empty(len(opened) + len(closed) + len(words) + len(ends) * longest, np.uint8)
    for node in range(len(hashes)):
        size = _spell(text, 0, starts, places, amounts, node, words, ends, opened, between, closed)
        sha256_start(state.ctypes.data)
        sha256_update(state.ctypes.data, text.ctypes.data, size)
        sha256_finish(hashes[node].ctypes.data, state.ctypes.data)
    return hashes


@jitted()
def node_hashes(hashes: Hashes, said: Hashes) -> Hashes:
    """Hash nodes in pairs, each with the hash of its sums; of an odd number the last goes up as it is."""
    above, state = np.empty(((len(hashes) + 1) // 2, DIGEST), np.uint8), np.empty(STATE, np.uint8)
    text = np.empty(1 + 4 * DIGEST, np.uint8)
    text[0] = OF_NODE
    for node in range(len(hashes) // 2):
        for side in range(2):
            first = 1 + side * 2 * DIGEST
            text[first : first + DIGEST] = hashes[2 * node + side]
            text[first + DIGEST : first + 2 * DIGEST] = said[2 * node + side]
        sha256_start(state.ctypes.data)
        sha256_update(state.ctypes.data, text.ctypes.data, len(text))
        sha256_finish(above[node].ctypes.data, state.ctypes.data)
    if len(hashes) % 2:
        above[-1] = hashes[-1]
    return above


@jitted()
def spelled(
    starts: Offsets,
    places: Places,
    amounts: Amounts,
    words: Bytes,
    ends: Offsets,
    opened: Bytes,
    between: Bytes,
    closed: Bytes,
) -> tuple[Bytes, Offsets]:
    """Write the sums of each node, each behind the word of its place, and return the bytes and where each node's end.

    `words`: of all places, each up to its end. What stands before, between and behind the sums of a node is given too.
    """
    longest = amounts.shape[1] * DIGITS + len(between)
    room = (len(starts) - 1) * (len(opened) + len(closed)) + len(places) * longest
    for place in places:
        room += ends[place + 1] - ends[place]
    text, written, at = np.empty(room, np.uint8), np.zeros(len(starts), np.int64), 0
    for node in range(len(starts) - 1):
        at = _spell(text, at, starts, places, amounts, node, words, ends, opened, between, closed)
        written[node + 1] = at
    return text[:at], written


@compiled
def _spell(
    text: Bytes,
    at: int,
    starts: Offsets,
    places: Places,
    amounts: Amounts,
    node: int,
    words: Bytes,
    ends: Offsets,
    opened: Bytes,
    between: Bytes,
    closed: Bytes,
) -> int:
    at = _copy(text, at, opened, 0, len(opened))
    for slot in range(starts[node], starts[node + 1]):
        if slot > starts[node]:
            at = _copy(text, at, between, 0, len(between))
        at = _copy(text, at, words, ends[places[slot]], ends[places[slot] + 1])
        at = _write(text, at, amounts[slot])
    written: int = _copy(text, at, closed, 0, len(closed))
    return written


@compiled
def _line_end(text: Bytes, begin: int) -> int:
    """Return where the line that begins somewhere ends, or 0 where that is not in the text."""
    found = find(text.ctypes.data + begin, END, len(text) - begin)
    end: int = found - text.ctypes.data + 1 if found else 0
    return end


@compiled
def _room(places: Places, amounts: Amounts, first: int, size: int, place: int) -> tuple[int, int]:
    """Find a place among those of a node, which are in order, or make room for it; return where, and how many there are then."""
    at = size
    while at > first and places[at - 1] > place:
        at -= 1
    if at > first and places[at - 1] == place:
        return at - 1, size
    for slot in range(size, at, -1):
        places[slot] = places[slot - 1]
        amounts[slot] = amounts[slot - 1]
    places[at] = place
    amounts[at] = 0
    return at, size + 1


@compiled
def _add_digits(amount: Amounts, texts: Bytes, begin: int, end: int) -> None:
    carry = np.uint64(0)
    for limb in range(len(amount)):
        some = np.uint64(0)
        for at in range(max(end - DIGITS, begin), end):
            some = some * TEN + np.uint64(texts[at] - ZERO)
        end = max(end - DIGITS, begin)
        total = amount[limb] + some + carry
        carry = np.uint64(total >= BASE)
        amount[limb] = total - carry * BASE


@compiled
def _add(amount: Amounts, other: Amounts) -> None:
    carry = np.uint64(0)
    for limb in range(len(amount)):
        total = amount[limb] + other[limb] + carry
        carry = np.uint64(total >= BASE)
        amount[limb] = total - carry * BASE


@compiled
def _copy(text: Bytes, at: int, words: Bytes, begin: int, end: int) -> int:
    copy(text.ctypes.data + at, words.ctypes.data + begin, end - begin)
    return at + end - begin


@compiled
def _write(text: Bytes, at: int, amount: Amounts) -> int:
    """Write an amount without zeros before it."""
    highest = len(amount) - 1
    while highest > 0 and amount[highest] == 0:
        highest -= 1
    digits, rest = 1, amount[highest] // TEN
    while rest > 0:
        digits, rest = digits + 1, rest // TEN
    for limb in range(highest, -1, -1):
        rest, last = amount[limb], np.uint64(at + digits - 1)
        for sign in range(np.uint64(digits)):
            text[last - sign] = np.uint8(rest % TEN) + ZERO
            rest //= TEN
        at, digits = at + digits, DIGITS
    return at
