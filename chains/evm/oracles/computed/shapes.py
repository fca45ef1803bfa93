"""Which shape a price source has, as its views tell: each shape asks for all its views, and is that source's where all answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chains.evm.abi import Function
from chains.evm.logs import unhex
from chains.evm.oracles.computed import events as ev
from chains.evm.oracles.rates import GET_RATIO, LATEST_ANSWER, LATEST_ROUND_DATA, key_of

NOWHERE = bytes(20)
EURO_RATIO_DECIMALS = 8
"""Decimals of the cap ratio in the version that does not tell them."""

MOST_DECIMALS = 77

Ask = Callable[..., Any]
"""(view, arguments, of=another contract) → what it answers, `None` where it gives nothing, or not yet."""


class Made(NamedTuple):
    """What a source is made of.

    `kind`: its formula; `word`: the view by which it says its price; `asks`: the view by which it asks its parts; `parts`: sources by
    name; `numbers`: parameters by name.
    """

    kind: str
    word: Function
    asks: Function
    parts: dict[str, bytes]
    numbers: dict[str, int]


Shape = Callable[[Ask, bytes], Made | None]


def capped_ratio(ask: Ask, source: bytes) -> Made | None:
    """`PriceCapAdapterBase`, with growth scaled by 10⁶ or in the version without."""
    scale, scaled = ask(ev.SCALING_FACTOR), ask(ev.GROWTH_SCALED)
    said = [ask(view) for view in (ev.RATIO_DECIMALS, ev.SNAPSHOT_RATIO, ev.SNAPSHOT_TIME, ev.GROWTH)]
    base, provider, ratio = ask(ev.BASE_TO_USD), ask(ev.RATIO_PROVIDER), ask(GET_RATIO)
    if None in (*said, base, provider, ratio) or (scale is None) != (scaled is None) or not _decimals(said[0]):
        return None
    is_feed = ask(LATEST_ANSWER, of=unhex(provider)) == ratio
    growth, growth_scale = (said[3], 1) if scale is None else (scaled, scale)
    return Made(
        "capped_ratio", LATEST_ANSWER, LATEST_ANSWER,
        {"base": unhex(base), "ratio": unhex(provider) if is_feed else key_of(source, GET_RATIO.calldata())},
        {
            "ratio_decimals": said[0], "snapshot_ratio": said[1], "snapshot_time": said[2],
            "growth": growth, "growth_scale": growth_scale,
        },
    ) if growth_scale else None  # fmt: skip


def capped(ask: Ask, source: bytes) -> Made | None:
    """`PriceCapAdapterStable`."""
    del source
    asset, cap = ask(ev.ASSET_TO_USD), ask(ev.PRICE_CAP)
    if None in (asset, cap):
        return None
    return Made("capped", LATEST_ANSWER, LATEST_ANSWER, {"asset": unhex(asset)}, {"cap": cap})


def capped_by_base(ask: Ask, source: bytes) -> Made | None:
    """`EURPriceCapAdapterStable`."""
    del source
    asset, base, ratio = ask(ev.ASSET_TO_USD), ask(ev.BASE_TO_USD), ask(ev.PRICE_CAP_RATIO)
    decimals = ask(ev.RATIO_DECIMALS)
    decimals = EURO_RATIO_DECIMALS if decimals is None else decimals
    if None in (asset, base, ratio) or not _decimals(decimals):
        return None
    parts = {"asset": unhex(asset), "base": unhex(base)}
    numbers = {"cap_ratio": ratio, "ratio_decimals": decimals}
    return Made("capped_by_base", LATEST_ANSWER, LATEST_ANSWER, parts, numbers)


def discounted(ask: Ask, source: bytes) -> Made | None:
    """`PendlePriceCapAdapter`."""
    del source
    asset = ask(ev.ASSET_TO_USD)
    said = [ask(view) for view in (ev.MATURITY, ev.DISCOUNT_RATE, ev.PERCENTAGE_FACTOR, ev.SECONDS_PER_YEAR)]
    if None in (asset, *said) or 0 in said[2:]:
        return None
    numbers = dict(zip(("maturity", "discount_rate", "whole", "year"), said, strict=True))
    return Made("discounted", LATEST_ANSWER, LATEST_ANSWER, {"asset": unhex(asset)}, numbers)


def fixed(ask: Ask, source: bytes) -> Made | None:
    """`FixedPriceAdapter`: a price that its administrators set."""
    del source
    price, administrators = ask(ev.FIXED_PRICE), ask(ev.ACL_MANAGER)
    if None in (price, administrators, ask(ev.OWN_DECIMALS), ask(LATEST_ANSWER)):
        return None
    return Made("fixed", LATEST_ANSWER, LATEST_ANSWER, {}, {"price": price})


def constant(ask: Ask, source: bytes) -> Made | None:
    """`ConstantPriceFeed`: a price that nobody can change."""
    del source
    price = ask(ev.CONSTANT_PRICE)
    return None if price is None else Made("fixed", LATEST_ROUND_DATA, LATEST_ROUND_DATA, {}, {"price": price})


def peg_to_base(ask: Ask, source: bytes) -> Made | None:
    """`CLSynchronicityPriceAdapterPegToBase`."""
    del source
    asset, peg, denominator, decimals = (
        ask(view) for view in (ev.ASSET_TO_PEG, ev.PEG_TO_BASE, ev.DENOMINATOR, ev.OWN_DECIMALS)
    )
    if None in (asset, peg, denominator, decimals) or denominator <= 0 or not _decimals(decimals):
        return None
    parts, numbers = {"asset": unhex(asset), "peg": unhex(peg)}, {"denominator": denominator, "decimals": decimals}
    return Made("peg_to_base", LATEST_ANSWER, LATEST_ANSWER, parts, numbers)


def base_to_peg(ask: Ask, source: bytes) -> Made | None:
    """`CLSynchronicityPriceAdapterBaseToPeg`."""
    del source
    asset, base, decimals = ask(ev.ASSET_TO_PEG), ask(ev.BASE_TO_PEG), ask(ev.OWN_DECIMALS)
    if None in (asset, base, decimals) or not _decimals(decimals):
        return None
    parts = {"asset": unhex(asset), "base": unhex(base)}
    return Made("base_to_peg", LATEST_ANSWER, LATEST_ANSWER, parts, {"decimals": decimals})


def share_of_inverse(ask: Ask, source: bytes) -> Made | None:
    """`FixedRatioSynchronicityPriceAdapterBaseToPeg`."""
    del source
    base, ratio, multiplier = ask(ev.BASE_TO_PEG), ask(ev.PRICE_RATIO), ask(ev.MULTIPLIER)
    if None in (base, ratio, multiplier):
        return None
    numbers = {"price_ratio": ratio, "multiplier": multiplier}
    return Made("share_of_inverse", LATEST_ANSWER, LATEST_ANSWER, {"base": unhex(base)}, numbers)


def scaled(ask: Ask, source: bytes) -> Made | None:
    """`ScaledPriceAdapter`."""
    del source
    feed, scale = ask(ev.SOURCE), ask(ev.SCALE, whole=True)
    if None in (feed, scale) or scale[1] == 0:
        return None
    numbers = {"up": int(scale[0]), "factor": scale[1]}
    return Made("scaled", LATEST_ANSWER, LATEST_ANSWER, {"asset": unhex(feed)}, numbers)


def rescaled(ask: Ask, source: bytes) -> Made | None:
    """`ScalingPriceFeed`."""
    del source
    feed, decimals, provider = ask(ev.UNDERLYING_FEED), ask(ev.DECIMALS), ask(ev.RATE_PROVIDER)
    if None in (feed, decimals) or provider is not None:
        return None
    theirs = ask(ev.DECIMALS, of=unhex(feed))
    if theirs is None or not _decimals(decimals) or not _decimals(theirs):
        return None
    numbers = {"feed_decimals": theirs, "decimals": decimals}
    return Made("rescaled", LATEST_ROUND_DATA, LATEST_ROUND_DATA, {"asset": unhex(feed)}, numbers)


def product(ask: Ask, source: bytes) -> Made | None:
    """`MultiplicativePriceFeed`."""
    del source
    first, second, scale, combined = (
        ask(view) for view in (ev.FEED_A, ev.FEED_B, ev.FEED_SCALE, ev.COMBINED_SCALE)
    )  # fmt: skip
    if None in (first, second, scale, combined) or combined <= 0:
        return None
    parts = {"first": unhex(first), "second": unhex(second)}
    numbers = {"scale": scale, "combined_scale": combined}
    return Made("product", LATEST_ROUND_DATA, LATEST_ROUND_DATA, parts, numbers)


def quotient(ask: Ask, source: bytes) -> Made | None:
    """`ReverseMultiplicativePriceFeed`."""
    del source
    first, second, scale, first_scale = (
        ask(view) for view in (ev.FEED_A, ev.FEED_B, ev.FEED_SCALE, ev.FEED_A_SCALE)
    )  # fmt: skip
    if None in (first, second, scale, first_scale) or first_scale <= 0:
        return None
    decimals = ask(ev.DECIMALS, of=unhex(second))
    if decimals is None or not _decimals(decimals):
        return None
    parts = {"first": unhex(first), "second": unhex(second)}
    numbers = {"scale": scale, "first_scale": first_scale, "second_decimals": decimals}
    return Made("quotient", LATEST_ROUND_DATA, LATEST_ROUND_DATA, parts, numbers)


def vault_times_feed(ask: Ask, source: bytes) -> Made | None:
    """`PriceFeedWith4626Support`: what a whole share of a vault is worth, times a price."""
    del source
    vault, feed, scale, combined = (
        ask(view) for view in (ev.RATE_PROVIDER, ev.UNDERLYING_FEED, ev.FEED_SCALE, ev.COMBINED_SCALE)
    )
    if None in (vault, feed, scale, combined) or combined <= 0:
        return None
    decimals = ask(ev.DECIMALS, of=unhex(vault))
    if decimals is None or not _decimals(decimals):
        return None
    rate = key_of(unhex(vault), ev.CONVERT_TO_ASSETS.calldata(10**decimals))
    numbers = {"scale": scale, "combined_scale": combined}
    return Made(
        "product", LATEST_ROUND_DATA, LATEST_ROUND_DATA, {"first": rate, "second": unhex(feed)}, numbers
    )  # fmt: skip


def capped_ratio_scaled(ask: Ask, source: bytes) -> Made | None:
    """Comet's `PriceCapAdapterBase`."""
    views = (ev.RATIO_DECIMALS_2, ev.SNAPSHOT_RATIO_2, ev.SNAPSHOT_TIME_2, ev.GROWTH_2, ev.GROWTH_SCALE_2, ev.DECIMALS)
    names = ("ratio_decimals", "snapshot_ratio", "snapshot_time", "growth", "growth_scale", "decimals")
    said, base, ratio = [ask(view) for view in views], ask(ev.ASSET_TO_BASE), ask(GET_RATIO)
    if None in (*said, base, ratio) or said[4] == 0:
        return None
    theirs = ask(ev.DECIMALS, of=unhex(base))
    if theirs is None or not all(map(_decimals, (theirs, said[0], said[5]))):
        return None
    numbers = dict(zip(names, said, strict=True)) | {"feed_decimals": theirs}
    parts = {"base": unhex(base), "ratio": key_of(source, GET_RATIO.calldata())}
    return Made("capped_ratio_scaled", LATEST_ROUND_DATA, LATEST_ROUND_DATA, parts, numbers)


def composition(ask: Ask, source: bytes) -> Made | None:
    """`MorphoChainlinkOracleV2`, and the version before it, which has one vault at most."""
    del source
    scale, feeds = ask(ev.SCALE_FACTOR), [[ask(view) for view in views] for views in (ev.BASE_FEEDS, ev.QUOTE_FEEDS)]
    vaults, samples = [ask(view) for view in ev.VAULTS], [ask(view) for view in ev.SAMPLES]
    if (only := ask(ev.ONLY_VAULT)) is not None:
        vaults, samples = [only, "0x" + NOWHERE.hex()], [ask(ev.ONLY_SAMPLE), 1]
    if None in (scale, *vaults, *feeds[0], *feeds[1]):
        return None
    parts: dict[str, bytes] = {}
    for side, vault, sample, two in zip(("base", "quote"), map(unhex, vaults), samples, feeds, strict=True):
        if vault != NOWHERE and sample is None:
            return None
        if vault != NOWHERE:
            parts[f"{side}_vault"] = key_of(vault, ev.CONVERT_TO_ASSETS.calldata(sample))
        parts |= {f"{side}_{i}": unhex(feed) for i, feed in enumerate(two, 1) if unhex(feed) != NOWHERE}
    return Made("composition", ev.PRICE, LATEST_ROUND_DATA, parts, {"scale": scale})


SHAPES: tuple[Shape, ...] = (
    capped_ratio,
    capped_by_base,
    discounted,
    capped,
    peg_to_base,
    base_to_peg,
    share_of_inverse,
    scaled,
    vault_times_feed,
    quotient,
    product,
    capped_ratio_scaled,
    rescaled,
    constant,
    composition,
    fixed,
)


def _decimals(value: int) -> bool:
    return 0 <= value <= MOST_DECIMALS
