"""Health inputs as canonical JSON (RFC 8785) and back: the document that an `input_digest` names.

Bytes are `0x` hex on every chain; raw amounts, answers and USD are decimal strings, other integers numbers (strings beyond
2^53 − 1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import rfc8785

from aggregator.margin.estimate_policy import read_estimates
from aggregator.margin.inputs import (
    METHODOLOGY_VERSION,
    Asset,
    Cut,
    HealthInputs,
    InFlight,
    MarginAccount,
    OtherMethodology,
    Shortfall,
    VenueInputs,
)
from aggregator.margin.layer_policy import read_layers
from aggregator.margin.liabilities import USD, Liabilities
from aggregator.margin.marks_policy import read_marks, read_validity
from aggregator.margin.member import MemberKind, Membership
from aggregator.margin.model_policy import read_model
from aggregator.margin.once import Once
from aggregator.margin.policy import ClassPolicy, LiabilityPolicy, Policy, StatusPolicy
from aggregator.margin.pool_policy import read_pool
from aggregator.margin.risk import RiskInputs, read_risk
from aggregator.margin.stamp import PolicyStamp
from aggregator.oracle.mark import Observation, Reading
from chains.model import (
    Block,
    FeedSpec,
    Finality,
    PriceAnswer,
    Reason,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
)

SAFE_INTEGER = 2**53 - 1

Json = dict[str, Any]


class MalformedInputs(ValueError):
    """A text that is no document of health inputs."""


def to_json(inputs: HealthInputs) -> str:
    """Write health inputs in their one canonical form."""
    return _object(_inputs(inputs)).decode("utf-8")


def digest(inputs: HealthInputs) -> str:
    """Return `sha256:` and the hash of the canonical form."""
    return digest_of(to_json(inputs))


def digest_of(text: str) -> str:
    """Return `sha256:` and the hash of a text."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def from_json(text: str) -> HealthInputs:
    """Read what `to_json` wrote; raises `MalformedInputs`, and `OtherMethodology` for what another version wrote."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _malformed(error) from error
    return from_document(document)


def from_document(document: Any) -> HealthInputs:  # noqa: ANN401 - any JSON
    """Read it where it was parsed already; raises as `from_json` does."""
    try:
        return _read_inputs(document)
    except OtherMethodology:
        raise
    except (ArithmeticError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> MalformedInputs:
    return MalformedInputs(f"not a document of health inputs: {type(error).__name__} {error}")


def _inputs(inputs: HealthInputs) -> dict[str, bytes]:
    """Write every part; those that many accounts have in common are written once."""
    return {
        "methodology_version": _text(inputs.methodology_version),
        "account": _text(_account(inputs.account)),
        "as_of": _text({chain: _cut(cut) for chain, cut in inputs.as_of.items()}),
        "stale_chains": _text([reason._asdict() for reason in inputs.stale_chains]),
        "gaps": _text([reason._asdict() for reason in inputs.gaps]),
        "consulted": _text(list(inputs.consulted)),
        "venues": _list(_object(_venue(venue)) for venue in inputs.venues),
        "assets": _list(map(_ASSET, inputs.assets)),
        "feeds": _list(map(_FEED, inputs.feeds)),
        "observations": _list(map(_OBSERVATION, inputs.observations)),
        "policy": _POLICY(inputs.policy),
        "policy_stamp": _text(asdict(inputs.policy_stamp)),
        "risk": _RISK(inputs.risk),
    } | _where_any(
        shortfalls=[_shortfall(missing) for missing in inputs.shortfalls],
        in_flight=[asdict(sent) | {"amount_raw": str(sent.amount_raw)} for sent in inputs.in_flight],
    )


def _text(json: Any) -> bytes:  # noqa: ANN401 - any JSON
    return rfc8785.dumps(json)


_WORDS = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def words(document: Json) -> bytes:
    """Write in the same form, many times as fast, what has no number but small integers, and whose keys are words in ASCII."""
    return _WORDS(document).encode("utf-8")


def _object(parts: Mapping[str, bytes]) -> bytes:
    """Write an object of parts that are written: its keys are words in ASCII, which need no other order than Python's."""
    return b"{" + b",".join(b'"%b":%b' % (name.encode("ascii"), parts[name]) for name in sorted(parts)) + b"}"


def _list(parts: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]"


def _where_any(**lists: list[Json]) -> dict[str, bytes]:
    """Leave out what most accounts have none of."""
    return {name: _text(items) for name, items in lists.items() if items}


def _account(account: MarginAccount) -> Json:
    written: Json = {"id": account.id, "members": list(account.members)}
    return written | ({"membership": [asdict(each) for each in account.membership]} if account.membership else {})


def _read_account(json: Json) -> MarginAccount:
    known = tuple(Membership(**each | {"kind": MemberKind(each["kind"])}) for each in json.get("membership", ()))
    return MarginAccount(id=json["id"], members=tuple(json["members"]), membership=known)


def _shortfall(missing: Shortfall) -> Json:
    return {
        "venue_id": missing.venue_id,
        "market": _hex(missing.market),
        "asset": _hex(missing.asset),
        "there": str(missing.there),
        "claims": str(missing.claims),
        "block": _number(missing.block),
    }


def _read_shortfall(json: Json) -> Shortfall:
    numbers: Json = {key: int(json[key]) for key in ("there", "claims", "block")}
    return Shortfall(venue_id=json["venue_id"], market=_bytes(json["market"]), asset=_bytes(json["asset"]), **numbers)


def _read_in_flight(json: Json) -> InFlight:
    return InFlight(**json | {"amount_raw": int(json["amount_raw"]), "proven": bool(json["proven"])})


def _read_inputs(json: Json) -> HealthInputs:
    if json["methodology_version"] != METHODOLOGY_VERSION:
        raise OtherMethodology(json["methodology_version"])
    return HealthInputs(
        methodology_version=json["methodology_version"],
        account=_read_account(json["account"]),
        as_of={chain: _read_cut(cut) for chain, cut in json["as_of"].items()},
        stale_chains=tuple(Reason(**reason) for reason in json["stale_chains"]),
        gaps=tuple(Reason(**reason) for reason in json["gaps"]),
        consulted=tuple(json["consulted"]),
        venues=tuple(_read_venue(venue) for venue in json["venues"]),
        assets=tuple(Asset(**asset) for asset in json["assets"]),
        feeds=tuple(_read_feed(feed) for feed in json["feeds"]),
        observations=tuple(_read_observation(observation) for observation in json["observations"]),
        policy=_read_policy(json["policy"]),
        policy_stamp=PolicyStamp(**json.get("policy_stamp", {})),
        shortfalls=tuple(_read_shortfall(missing) for missing in json.get("shortfalls", ())),
        risk=read_risk(json["risk"]),
        in_flight=tuple(_read_in_flight(sent) for sent in json.get("in_flight", ())),
    )


def _cut(cut: Cut) -> Json:
    until = {} if cut.until is None else {"until": _number(cut.until)}
    return _block(cut.block) | {"finality": cut.finality} | until


def _read_cut(json: Json) -> Cut:
    until = None if "until" not in json else int(json["until"])
    return Cut(block=_read_block(json), finality=Finality(json["finality"]), until=until)


def _block(block: Block) -> Json:
    return {
        "number": _number(block.number),
        "hash": _hex(block.hash),
        "parent_hash": _hex(block.parent_hash),
        "time": _number(block.time),
    }


def _read_block(json: Json) -> Block:
    return Block(
        number=int(json["number"]),
        hash=_bytes(json["hash"]),
        parent_hash=_bytes(json["parent_hash"]),
        time=int(json["time"]),
    )


def _venue(venue: VenueInputs) -> dict[str, bytes]:
    said = {_hex(unit): liabilities_document(said) for unit, said in venue.liabilities.items()}
    return {
        **_SNAPSHOT(venue.snapshot),
        "units": _list(words(unit_document(unit)) for unit in venue.units),
        "liabilities": _text(said),
    }


def _snapshot(snapshot: VenueSnapshot) -> dict[str, bytes]:
    written: Json = {
        "venue": asdict(snapshot.venue)
        | {"address": _hex(snapshot.venue.address), "options": dict(snapshot.venue.options)},
        "at": _block(snapshot.at),
        "markets": [
            {"market": _hex(market), "aspect": aspect, "state": state}
            for (market, aspect), state in sorted(snapshot.markets.items())
        ],
        "feeds": {_hex(proxy): phase for proxy, phase in snapshot.feeds.items()},
        "answers": {_hex(source): _answer(answer) for source, answer in snapshot.answers.items()},
    }
    return {name: _text(part) for name, part in written.items()}


def _read_options(json: Json) -> Json:
    """Lists of a configuration are tuples, which JSON does not have."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.items()}


def _read_venue(json: Json) -> VenueInputs:
    snapshot = VenueSnapshot(
        venue=VenueSpec(
            **json["venue"]
            | {"address": _bytes(json["venue"]["address"]), "options": _read_options(json["venue"]["options"])}
        ),
        at=_read_block(json["at"]),
        markets={(_bytes(item["market"]), item["aspect"]): item["state"] for item in json["markets"]},
        feeds={_bytes(proxy): phase for proxy, phase in json["feeds"].items()},
        answers={_bytes(source): _read_answer(answer) for source, answer in json["answers"].items()},
    )
    return VenueInputs(
        snapshot=snapshot,
        units=tuple(_read_unit(unit) for unit in json["units"]),
        liabilities={
            _bytes(unit): None if said is None else _read_liabilities(said)
            for unit, said in json["liabilities"].items()
        },
    )


def liabilities_document(said: Liabilities | None) -> Json | None:
    """Return what is known of what a unit owes to others, as JSON."""
    if said is None:
        return None
    return {
        "as_of": _number(said.as_of),
        "initial_requirement_usd": _usd(said.initial_requirement_usd),
        "maintenance_requirement_usd": _usd(said.maintenance_requirement_usd),
        "pnl_usd": _usd(said.pnl_usd),
        "key": _hex(said.key),
        "document": said.document,
    }


def _read_liabilities(json: Json) -> Liabilities:
    amounts = ("initial_requirement_usd", "maintenance_requirement_usd", "pnl_usd")
    read: Json = {key: Decimal(json[key]) for key in amounts}
    return Liabilities(**json | read | {"as_of": int(json["as_of"]), "key": _bytes(json["key"])})


def unit_document(unit: UnitSnapshot) -> Json:
    """Return what belongs to a unit, as JSON; all of it is text."""
    return {
        "unit_id": _hex(unit.unit_id),
        "owner": _hex(unit.owner),
        "positions": [
            {"market": _hex(market), "side": side, "amount_raw": str(amount_raw)}
            for (market, side), amount_raw in sorted(unit.positions.items())
        ],
        "settings": [
            {"market": _hex(market), "aspect": aspect, "state": state}
            for (market, aspect), state in sorted(unit.settings.items())
        ],
    }


def _read_unit(json: Json) -> UnitSnapshot:
    return UnitSnapshot(
        unit_id=_bytes(json["unit_id"]),
        owner=_bytes(json["owner"]),
        positions={(_bytes(item["market"]), Side(item["side"])): int(item["amount_raw"]) for item in json["positions"]},
        settings={(_bytes(item["market"]), item["aspect"]): item["state"] for item in json["settings"]},
    )


def _answer(answer: PriceAnswer) -> Json:
    return {
        "answer_raw": str(answer.answer_raw),
        "round_id": str(answer.round_id),
        "updated_at": _number(answer.updated_at),
        "block": _number(answer.block),
        "confidence_raw": _raw(answer.confidence_raw),
    }


def _read_answer(json: Json) -> PriceAnswer:
    read: Json = {key: None if value is None else int(value) for key, value in json.items()}
    return PriceAnswer(**read)


def _feed(feed: FeedSpec) -> Json:
    written = asdict(feed) | {
        "address": _hex(feed.address),
        "feed_id": None if feed.feed_id is None else _hex(feed.feed_id),
        "unit_raw": _raw(feed.unit_raw),
    }
    return _without_nothing(written, "of", "unit_raw", "operator")


def _read_feed(json: Json) -> FeedSpec:
    exact = {
        "address": _bytes(json["address"]),
        "deviation": float(json["deviation"]),
        "feed_id": None if json["feed_id"] is None else _bytes(json["feed_id"]),
        "max_confidence": _fraction(json["max_confidence"]),
        "unit_raw": int(json["unit_raw"]) if "unit_raw" in json else None,
    }
    return FeedSpec(**json | exact)


def _without_nothing(written: Json, *keys: str) -> Json:
    """Leave out what only some kinds of feed have, so that inputs without it are written as they always were."""
    return {key: value for key, value in written.items() if value is not None or key not in keys}


def _observation(observation: Observation) -> Json:
    reading = observation.reading
    written = {
        "asset": observation.asset,
        "kind": observation.kind,
        "chain_id": observation.chain_id,
        "feed": _hex(observation.feed),
        "heartbeat_s": observation.heartbeat_s,
        "deviation": observation.deviation,
        "reading": None if reading is None else _reading(reading),
        "fault": observation.fault,
        "max_confidence": observation.max_confidence,
        "of": observation.of,
        "caveat": observation.caveat,
        "operator": observation.operator,
        "past": list(map(_past, observation.past)) or None,
        "whole_interval": observation.whole_interval or None,
    }
    return _without_nothing(written, "of", "caveat", "operator", "past", "whole_interval")


def _past(reading: Reading) -> list[Any]:
    """Write an answer of the past in short: there are many, and their unit is that of the present one."""
    written = [_number(reading.updated_at), _number(reading.block), str(reading.answer_raw)]
    return written if reading.confidence_raw is None else [*written, str(reading.confidence_raw)]


def _read_past(json: list[Any], unit_raw: int) -> Reading:
    updated_at, block, answer_raw, *confidence = map(int, json)
    return Reading(answer_raw, unit_raw, updated_at, block, *confidence)


def _reading(reading: Reading) -> Json:
    return {
        "answer_raw": str(reading.answer_raw),
        "unit_raw": str(reading.unit_raw),
        "updated_at": _number(reading.updated_at),
        "block": _number(reading.block),
        "confidence_raw": _raw(reading.confidence_raw),
    }


def _read_reading(json: Json) -> Reading:
    read: Json = {key: None if value is None else int(value) for key, value in json.items()}
    return Reading(**read)


def _read_observation(json: Json) -> Observation:
    reading = json["reading"]
    return Observation(
        **json
        | {
            "feed": _bytes(json["feed"]),
            "deviation": float(json["deviation"]),
            "reading": None if reading is None else _read_reading(reading),
            "max_confidence": _fraction(json["max_confidence"]),
            "past": tuple(_read_past(each, int(reading["unit_raw"])) for each in json.get("past", ())),
        }
    )


def _read_policy(json: Json) -> Policy:
    return Policy(
        status=StatusPolicy(**{key: float(value) for key, value in json["status"].items()}),
        classes={name: _read_class(values) for name, values in json["classes"].items()},
        liabilities=LiabilityPolicy(**{key: float(value) for key, value in json["liabilities"].items()}),
        layers=read_layers(json["layers"]),
        estimates=read_estimates(json["estimates"]),
        model=read_model(json["model"]),
        pools=tuple(map(read_pool, json["pools"])),
        marks=read_marks(json["marks"]),
        validity=read_validity(json["validity"]),
    )


def _read_class(json: Mapping[str, float]) -> ClassPolicy:
    numbers: Json = {key: float(value) for key, value in json.items()}
    exact = {"heartbeat_s": int(json["heartbeat_s"]), "venue_threshold": bool(json["venue_threshold"])}
    return ClassPolicy(**numbers | exact)


def _number(value: int) -> int | str:
    return value if abs(value) <= SAFE_INTEGER else str(value)


def _raw(value: int | None) -> str | None:
    return None if value is None else str(value)


def _usd(value: Decimal) -> str:
    return format(value.quantize(USD), "f")


def _fraction(value: float | None) -> float | None:
    return None if value is None else float(value)


def _hex(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError(f"{text!r} is not 0x hex")
    return bytes.fromhex(text[2:])


_SNAPSHOT = Once(_snapshot, most=16)
_POLICY: Once[Policy, bytes] = Once(lambda policy: _text(asdict(policy)), most=16)
_RISK: Once[RiskInputs, bytes] = Once(lambda risk: _text(asdict(risk)), most=256)
_ASSET: Once[Asset, bytes] = Once(lambda asset: _text(asdict(asset)), most=4096)
_FEED: Once[FeedSpec, bytes] = Once(lambda feed: _text(_feed(feed)), most=4096)
_OBSERVATION: Once[Observation, bytes] = Once(lambda observation: _text(_observation(observation)), most=4096)
