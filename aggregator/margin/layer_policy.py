"""`[layers]` of the policy: what comes off an asset for its bridge, its chain, its peg and its sale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregator.margin.policy_text import (
    PolicyError,
    demand,
    number,
    reader,
    refuse_unknown,
    table_of,
    unknown_name,
)

UNSAID = "unsaid"
"""The key for an asset of which nobody said by which bridge it came."""

OTHER = "other"
"""The key for a chain that the table does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayers:
    """What the policy says of a class, as fractions of the price.

    `cap`: the most that all layers together take (an unproven bridge is not capped). `liquidity`: taken where nobody said what the
    asset can be sold for. `peg`: taken where an asset that should be worth something else was never watched; 0: the class has no peg.
    `worst`: the share of the worst that was ever seen of a peg that counts at least; 1 where nobody redeems before a liquidation ends.
    `correlation`: with everything else, where a history is too short to tell. `usd_like`: a debt of it does not rise.
    """

    cap: float = 1.0
    liquidity: float = 0.1
    peg: float = 0.0
    worst: float = 1.0
    correlation: float = 0.9
    usd_like: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPolicy:
    """`[layers]`: a sale of V loses `impact · σ · √(V / (daily volume · depth))` beside spread and fee.

    `peg`: whether pegs count. `bridges`: word of `[[asset]] bridge` → layer; `chains`: CAIP-2 id → layer.
    """

    peg: bool = True
    impact: float = 1.0
    depth: float = 0.3
    bridges: Mapping[str, float] = field(default_factory=lambda: {UNSAID: 0.0})
    chains: Mapping[str, float] = field(default_factory=lambda: {OTHER: 0.0})
    classes: Mapping[str, ClassLayers] = field(default_factory=dict)

    def of_class(self, name: str) -> ClassLayers:
        return self.classes.get(name, ClassLayers())

    def bridge(self, word: str | None) -> float:
        """Return the layer of a bridge; one that the policy does not know has proven nothing, and takes everything."""
        return self.bridges[UNSAID] if word is None else self.bridges.get(word, 1.0)

    def chain(self, chain_id: str) -> float:
        return self.chains.get(chain_id, self.chains[OTHER])


NO_LAYERS = LayerPolicy()
"""The policy says nothing of layers: no bridge and no chain takes anything off."""


def parse_layers(value: object, classes: Mapping[str, Any]) -> LayerPolicy:
    """Read `[layers]`, which may be left out, as may any of its keys; raises `PolicyError`."""
    table = dict(table_of("layers", {} if value is None else value))
    refuse_unknown("[layers]", table, ("peg", "impact", "depth", "bridge", "chain", "class"))
    read = reader("layers", {"peg": True, "impact": 1.0, "depth": 0.3} | table, (*table, "peg", "impact", "depth"))
    policy = LayerPolicy(
        peg=read("peg", _yes),
        impact=read("impact", number),
        depth=read("depth", number),
        bridges={UNSAID: 0.0} | _shares("layers.bridge", table.get("bridge")),
        chains={OTHER: 0.0} | _shares("layers.chain", table.get("chain")),
        classes=_classes(table.get("class"), classes),
    )
    demand("layers", 0 < policy.depth <= 1 and policy.impact >= 0, "0 < depth ≤ 1 and impact ≥ 0")
    return policy


def _classes(value: object, known: Mapping[str, Any]) -> dict[str, ClassLayers]:
    found = {}
    for name, said in table_of("layers.class", {} if value is None else value).items():
        if name not in known:
            raise PolicyError(f"[layers.class.{name}]: {unknown_name('asset class', name, known)}")
        found[name] = _class(f"layers.class.{name}", table_of(f"layers.class.{name}", said))
    return found


def _class(place: str, table: Mapping[str, Any]) -> ClassLayers:
    default = ClassLayers()
    written = {name: getattr(default, name) for name in ClassLayers.__dataclass_fields__} | dict(table)
    read = reader(place, written, tuple(ClassLayers.__dataclass_fields__))
    layers = ClassLayers(
        cap=read("cap", _share),
        liquidity=read("liquidity", _share),
        peg=read("peg", _share),
        worst=read("worst", _share),
        correlation=read("correlation", _share),
        usd_like=read("usd_like", _yes),
    )
    demand(place, max(layers.liquidity, layers.peg) <= layers.cap, "liquidity ≤ cap and peg ≤ cap")
    return layers


def _shares(place: str, value: object) -> dict[str, float]:
    table = table_of(place, {} if value is None else value)
    read = reader(place, table, tuple(table))
    return {key: read(key, _share) for key in table}


def _share(value: object) -> float:
    share = number(value)
    if not 0 <= share <= 1:
        raise ValueError(f"must be a share from 0 to 1, not {value!r}")
    return share


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")  # noqa: TRY004 - one kind of complaint
    return value


def read_layers(json: Mapping[str, Any]) -> LayerPolicy:
    """Read what `dataclasses.asdict` makes of it, through JSON; raises `KeyError`, `TypeError`, `ValueError`."""
    return LayerPolicy(
        peg=bool(json["peg"]),
        impact=float(json["impact"]),
        depth=float(json["depth"]),
        bridges={word: float(share) for word, share in json["bridges"].items()},
        chains={chain: float(share) for chain, share in json["chains"].items()},
        classes={name: _read_class(said) for name, said in json["classes"].items()},
    )


def _read_class(said: Mapping[str, Any]) -> ClassLayers:
    numbers: dict[str, Any] = {key: float(value) for key, value in said.items()}
    return ClassLayers(**numbers | {"usd_like": bool(said["usd_like"])})
