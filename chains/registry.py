"""Which protocols exist, by the name that configuration uses; each is imported when it is first asked for."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from chains.errors import Unsupported
from chains.escrow import VALUED
from chains.identifiers import PYTH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from chains.derivations import Change
    from chains.model import Block, ChainSpec, Claim, FeedSpec, PriceAnswer, Reason, VenueSnapshot, VenueSpec
    from chains.ports import Chain, Moment, Observer, OpenBook, RawReader, Start
    from chains.price_proofs import PriceProof
    from chains.survey.facts import NodeSurvey

NAMESPACES = {"eip155": "chains.evm.chain", "solana": "chains.solana.chain", "pyth": "chains.pyth.chain"}


def _protocols() -> dict[str, str]:
    """Each folder of a family that has arithmetic of its own is a protocol, by the folder's name; nothing is imported."""
    here = Path(__file__).parent
    found = [unit.parent for family in ("evm", "solana") for unit in sorted((here / family).glob("*/unit.py"))]
    return {folder.name.replace("_", "-"): f"chains.{folder.parent.name}.{folder.name}" for folder in found}


PROTOCOLS = _protocols()
ESCROWS = frozenset({"escrow", "spl-escrow"})
"""Protocols that hold collateral for other systems' positions: their venues say what becomes of liabilities."""

REDEMPTION_RATE = "redemption-rate"
"""Kind of feed that is no price: what one of an asset can be redeemed for, in another asset."""

SEQUENCER_UPTIME = "sequencer-uptime"
"""Kind of feed that is no price: whether a chain's sequencer runs (0), and since when; its `asset` is the chain."""

REDEMPTION_VIEWS = ("stEthPerToken", "getRate", "getExchangeRate", "convertToAssets")
"""What contracts are asked for such a rate; the last by the shares that one whole token is."""

FEED_KINDS: Mapping[str, tuple[str, ...]] = {
    "chainlink": ("eip155",),
    REDEMPTION_RATE: ("eip155", "solana"),
    SEQUENCER_UPTIME: ("eip155",),
    "pyth-solana": ("solana",),
    "switchboard": ("solana",),
    "pyth-hermes": (PYTH,),
}
"""Kind of feed → the namespaces of the chains that have it."""

FEED_OPERATORS: Mapping[str, str] = {"pyth-solana": "pyth", "pyth-hermes": "pyth"}
"""Who answers for the prices of a kind of feed, where that is not the kind's own name."""

WHOLE_INTERVALS = frozenset({"switchboard"})
"""Kinds of feed whose interval is meant to cover the price already (1.96 standard deviations), and not one scale of its error."""


def operator_of(feed: FeedSpec) -> str | None:
    """Return who answers for a feed: several feeds of one operator are one opinion. `None`: nobody of its own, as with a rate."""
    if feed.kind in {REDEMPTION_RATE, SEQUENCER_UPTIME}:
        return None
    return feed.operator or FEED_OPERATORS.get(feed.kind, feed.kind)


def open_book(protocol: str) -> OpenBook:
    """Return a protocol's own arithmetic; raises `Unsupported` for a name that is not in `PROTOCOLS`."""
    if protocol not in PROTOCOLS:
        known = ", ".join(sorted(PROTOCOLS))
        message = f"protocol {protocol!r} is not supported; use one of {known}"
        raise Unsupported(message)
    return cast("OpenBook", import_module(PROTOCOLS[protocol]).open_book)


def namespace_of_protocol(protocol: str) -> str:
    """Return the namespace of the chains that have a protocol; raises `KeyError` for a name that is not in `PROTOCOLS`."""
    families = {module.rpartition(".")[0]: namespace for namespace, module in NAMESPACES.items()}
    return families[PROTOCOLS[protocol].rpartition(".")[0]]


def followed(venue: VenueSpec) -> str:
    """Return, as canonical JSON text, the options that decide what is taken in: rows of others would not fit them."""
    valued = VALUED.union(getattr(_options(venue.protocol), "VALUED", ()))
    kept = {name: value for name, value in venue.options.items() if name not in valued}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def redemption_question(view: str, share_decimals: int) -> bytes:
    """Return the calldata of one of `REDEMPTION_VIEWS`."""
    return cast("bytes", import_module("chains.evm.oracles.redemption").question(view, share_decimals))


def current_answer(moment: Moment, source: bytes) -> PriceAnswer | Reason:
    """Return what a price source that is computed of others says at a block of an EVM chain, or why that is not known."""
    answer = import_module("chains.evm.oracles.answer").current_answer(moment, source)
    return cast("PriceAnswer | Reason", answer)


def signed_price(feed_id: bytes, answer: PriceAnswer, bodies: Iterable[bytes]) -> PriceProof:
    """Return the update, among those that were kept of a second, that carries a signed price."""
    return cast("PriceProof", import_module("chains.pyth.carrying").proof_of(feed_id, answer, bodies))


def owner_is_unit(protocol: str) -> bool:
    """Tell whether a protocol keeps one account per owner, so that it has an answer for everybody: its folder says so."""
    return bool(getattr(import_module(PROTOCOLS[protocol]), "OWNER_IS_UNIT", False))


def knows_shares(venue: VenueSpec) -> bool:
    """Tell whether a venue may know what shares held anywhere are a claim on: its folder says so, by its options."""
    found = getattr(import_module(PROTOCOLS[venue.protocol]), "knows_shares", None)
    return found is not None and bool(found(venue))


def open_shares(snapshot: VenueSnapshot) -> Mapping[bytes, Callable[[int], Claim]]:
    """Return what a venue that knows shares says of them: token → the function that turns an amount into what it is a claim on."""
    found = import_module(PROTOCOLS[snapshot.venue.protocol]).open_shares(snapshot)
    return cast("Mapping[bytes, Callable[[int], Claim]]", found)


def open_views(protocol: str) -> Any | None:  # noqa: ANN401 - each family has its own kind of question
    """Return what a protocol's folder asks its contracts about a unit (`chains.evm.ports.OpenViews`), `None` where they have no views."""
    if not _has(protocol, "views"):
        return None
    return import_module(f"{PROTOCOLS[protocol]}.views").open_views


def open_slots(protocol: str) -> Any | None:  # noqa: ANN401 - each family has its own kind of storage
    """Return where a protocol's contracts keep what is theirs of a unit (`chains.evm.proofs.layout.OpenSlots`), `None` if nobody knows."""
    return import_module(f"{PROTOCOLS[protocol]}.slots").open_slots if _has(protocol, "slots") else None


def layouts(protocol: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the fields of a protocol's contracts by layout and name (`chains.evm.proofs.layout.Layouts`)."""
    if protocol not in PROTOCOLS or not _has(protocol, "slots"):
        return {}
    return cast("Mapping[str, Mapping[str, Any]]", import_module(f"{PROTOCOLS[protocol]}.slots").LAYOUTS)


def controls(protocol: str) -> Any | None:  # noqa: ANN401 - ditto
    """Return the totals and holdings of a protocol (`chains.evm.ports.Controls`), `None` where its folder names none."""
    return import_module(f"{PROTOCOLS[protocol]}.controls") if _has(protocol, "controls") else None


def derivation_changes(protocol: str) -> Sequence[Change]:
    """Return what changed in how a protocol's rows are derived, oldest first; a name that is not in `PROTOCOLS` has none."""
    if protocol not in PROTOCOLS:
        return ()
    return cast("Sequence[Change]", getattr(import_module(PROTOCOLS[protocol]), "CHANGES", ()))


def feed_changes(chain_id: str) -> Sequence[Change]:
    """Return the same of the price sources of a chain's family."""
    family = NAMESPACES[chain_id.partition(":")[0]].rpartition(".")[0]
    folder = f"{family}.oracles" if find_spec(f"{family}.oracles") else family
    return cast("Sequence[Change]", getattr(import_module(folder), "CHANGES", ()))


def is_observed(protocol: str) -> bool:
    """Tell whether a protocol's accounts are read with each head, so that nothing is known of before: its folder says so."""
    return bool(getattr(import_module(PROTOCOLS[protocol]), "OBSERVED", False))


def venue_doubts(snapshot: VenueSnapshot) -> Sequence[Reason]:
    """Return why nothing at all is known of a venue at a block, whoever asks, each about the venue: its folder says so (`doubts`)."""
    doubts = getattr(import_module(PROTOCOLS[snapshot.venue.protocol]), "doubts", None)
    found = () if doubts is None else cast("Sequence[Reason]", doubts(snapshot))
    return [reason._replace(subject=snapshot.venue.id) for reason in found]


def check_options(protocol: str) -> tuple[Sequence[str], Callable[[Mapping[str, Any]], list[str]]] | None:
    """Return the keys that only this protocol's venues have, and what tells what is wrong with them; `None` where it has none."""
    own = _options(protocol)
    return None if own is None else (own.KEYS, own.check_options)


def _options(protocol: str) -> Any:  # noqa: ANN401 - a module
    """Return the module of a protocol's own options, `None` where it has none."""
    if protocol not in PROTOCOLS or not _has(protocol, "options"):
        return None
    return import_module(f"{PROTOCOLS[protocol]}.options")


def _has(protocol: str, name: str) -> bool:
    """Tell whether a protocol's folder has a file, without importing anything."""
    return Path(__file__).parent.joinpath(*PROTOCOLS[protocol].split(".")[1:], f"{name}.py").exists()


def block_at(chain_id: str, time: int) -> Block | None:
    """Return the block of a Unix second on a chain that has one for each, whatever is stored; `None` on any other."""
    if chain_id.partition(":")[0] != PYTH:
        return None
    return cast("Block", import_module("chains.pyth.clock").block_of(chain_id, time))


def survey(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> Awaitable[list[NodeSurvey]]:
    """Measure each node of a chain by itself, in the order of its addresses; a node that cannot be asked is a finding, no error."""
    family = NAMESPACES[spec.id.partition(":")[0]].rpartition(".")[0]
    return cast("Awaitable[list[NodeSurvey]]", import_module(f"{family}.survey").survey(spec, venues, feeds))


def find_start(spec: ChainSpec, address: bytes) -> Awaitable[Start]:
    """Find the block in which a contract of an EVM chain was deployed; raises `NoContract` where it cannot be found."""
    family = NAMESPACES[spec.id.partition(":")[0]].rpartition(".")[0]
    return cast("Awaitable[Start]", import_module(f"{family}.deployment").find_start(spec, address))


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    observer: Observer | None = None,
) -> Chain:
    """Make the adapter of a chain: over its nodes, or over what was `stored` of it up to `cursor`, with no network at all.

    `observer` is told of every exchange with a node and of every error met there, also of those that a retry mended.
    """
    namespace = spec.id.partition(":")[0]
    if namespace not in NAMESPACES:
        message = f"chain {spec.id!r}: namespace {namespace!r} is not supported; use one of {', '.join(NAMESPACES)}"
        raise Unsupported(message)
    return cast(
        "Chain",
        import_module(NAMESPACES[namespace]).connect(
            spec, venues, feeds, stored=stored, cursor=cursor, observer=observer
        ),
    )
