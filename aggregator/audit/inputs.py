"""What a book was computed from, as a table of a snapshot: enough to compute all of it again, with no store and no node.

A row is a part of it: `part` says which kind, `key` which one, `document` is its canonical JSON (RFC 8785), as in the inputs of a health
document (`aggregator.margin.canonical`). All that is no list is in the part `book`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import rfc8785

from aggregator.audit.lines import Row
from aggregator.audit.verifier import Json, lines_of
from aggregator.book import Book, BookInputs
from aggregator.gather import Catalogue, Condition, DoubtedUnits
from aggregator.margin.canonical import from_document, liabilities_document, to_json, unit_document, words
from aggregator.margin.inputs import METHODOLOGY_VERSION, HealthInputs, MarginAccount, VenueInputs
from aggregator.margin.member import MemberKind, Membership
from chains.model import Block, Reason, VenueSnapshot, VenueSpec

INPUTS = "inputs"
BOOK, ACCOUNT, ASSET, DOUBT, FEED, IDLE, LEVEL, OBSERVATION, POLICY, RISK, UNIT, VENUE = (
    "book",
    "account",
    "asset",
    "doubt",
    "feed",
    "idle_venue",
    "level",
    "observation",
    "policy",
    "risk",
    "unit",
    "venue",
)
_LISTS = {FEED: "feeds", OBSERVATION: "observations"}
"""Parts whose order is a part of what they say."""

_NOBODY = MarginAccount(id="", members=())
_NO_BLOCK = Block(number=0, hash=b"", parent_hash=b"", time=0)


class NoInputs(ValueError):
    """A snapshot from which nothing can be computed again; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a snapshot was computed from; `levels`: venue → the weakest evidence that nothing of it is missing."""

    inputs: BookInputs
    levels: Mapping[str, str | None]


def rows(book: Book) -> Iterator[Row]:
    """Write what a book was computed from, a row a part."""
    yield from rows_of_units(book.inputs)
    yield from rows_of_everybody(book)


def rows_of_everybody(book: Book) -> Iterator[Row]:
    """Write of what a book was computed from all but the units."""
    for part, key, document in _parts(book):
        yield {"part": part, "key": key, "document": rfc8785.dumps(document).decode("utf-8")}


def rows_of_units(inputs: BookInputs) -> Iterator[Row]:
    """Write of what a book was computed from the units alone."""
    for venue in inputs.venues:
        name, liabilities = venue.snapshot.venue.id, venue.liabilities
        for unit in venue.units:
            document: Json = {"unit": unit_document(unit)}
            if unit.unit_id in liabilities:
                document["liabilities"] = liabilities_document(liabilities[unit.unit_id])
            key = _unit_key(name, document["unit"]["unit_id"])
            yield {"part": UNIT, "key": key, "document": words(document).decode("utf-8")}


def without_units(inputs: BookInputs) -> BookInputs:
    """Return the same of nobody."""
    return replace(inputs, venues=tuple(replace(venue, units=(), liabilities={}) for venue in inputs.venues))


def _parts(book: Book) -> Iterator[tuple[str, str, Any]]:
    inputs = book.inputs
    whole: Json = json.loads(to_json(_health_inputs(without_units(inputs))))
    for venue in whole.pop("venues"):
        del venue["units"], venue["liabilities"]
        # One that has no block is known by its configuration alone.
        yield VENUE if venue["at"]["hash"] != "0x" else IDLE, venue["venue"]["id"], venue
    for asset in whole.pop("assets"):
        yield ASSET, asset["id"], asset
    for part, name in _LISTS.items():
        yield from ((part, f"{number:06d}", item) for number, item in enumerate(whole.pop(name)))
    yield POLICY, "", whole.pop("policy")
    yield RISK, "", whole.pop("risk")
    yield BOOK, "", whole
    for account in inputs.catalogue.accounts:
        yield ACCOUNT, account.id, asdict(account)
    for (venue_id, unit_id), reason in inputs.condition.units.items():
        yield DOUBT, _unit_key(venue_id, f"0x{unit_id.hex()}"), reason._asdict()
    for venue_id, level in book.levels.items():
        yield LEVEL, venue_id, level


def _unit_key(venue_id: str, unit_id: str) -> str:
    return f"{venue_id}|{unit_id}"


def _health_inputs(inputs: BookInputs) -> HealthInputs:
    """Say it as the inputs of one account that everybody's units belong to."""
    catalogue, condition = inputs.catalogue, inputs.condition
    busy = {venue.snapshot.venue.id for venue in inputs.venues}
    idle = [_idle(spec) for spec in catalogue.venues if spec.id not in busy]
    return HealthInputs(
        methodology_version=METHODOLOGY_VERSION,
        account=_NOBODY,
        as_of=inputs.cuts,
        stale_chains=condition.stale_chains,
        gaps=condition.gaps,
        consulted=(),
        venues=(*inputs.venues, *idle),
        assets=catalogue.assets,
        feeds=catalogue.feeds,
        observations=inputs.observations,
        policy=catalogue.policy,
        policy_stamp=catalogue.policy_stamp,
        shortfalls=condition.shortfalls,
        risk=inputs.risk,
    )


def _idle(spec: VenueSpec) -> VenueInputs:
    return VenueInputs(
        snapshot=VenueSnapshot(venue=spec, at=_NO_BLOCK, markets={}, feeds={}, answers={}),
        units=(),
    )


def read(folder: Path) -> Packed:
    """Read what a snapshot was computed from; raises `NoInputs`, `OSError`, `aggregator.audit.verifier.Fault` and `OtherMethodology`."""
    try:
        return _packed([json.loads(line) for line in lines_of(folder, INPUTS)])
    except (KeyError, TypeError, AttributeError) as error:
        raise NoInputs(f"{INPUTS}.ndjson is nothing to compute from: {type(error).__name__} {error}") from error


def _packed(found: Sequence[Row]) -> Packed:
    parts: dict[str, dict[str, Any]] = {}
    for row in found:
        parts.setdefault(row["part"], {})[row["key"]] = json.loads(row["document"])
    health = from_document(_whole(parts))
    idle = set(parts.get(IDLE, {}))
    inputs = BookInputs(
        cuts=health.as_of,
        catalogue=Catalogue(
            venues=tuple(venue.snapshot.venue for venue in health.venues),
            feeds=health.feeds,
            assets=health.assets,
            policy=health.policy,
            accounts=tuple(map(_account, parts.get(ACCOUNT, {}).values())),
            policy_stamp=health.policy_stamp,
        ),
        condition=Condition(
            stale_chains=health.stale_chains,
            gaps=health.gaps,
            units=_doubts(parts.get(DOUBT, {})),
            shortfalls=health.shortfalls,
        ),
        venues=tuple(venue for venue in health.venues if venue.snapshot.venue.id not in idle),
        observations=health.observations,
        risk=health.risk,
    )
    return Packed(inputs=inputs, levels=parts.get(LEVEL, {}))


def _whole(parts: Mapping[str, Mapping[str, Any]]) -> Json:
    """Put the parts together as the inputs of one account."""
    units: dict[str, list[Json]] = {}
    for key, document in parts.get(UNIT, {}).items():
        units.setdefault(key.rpartition("|")[0], []).append(document)
    venues = {**parts.get(VENUE, {}), **parts.get(IDLE, {})}
    book: Json = parts[BOOK][""]
    return book | {
        "venues": [_venue(venues[name], units.get(name, ())) for name in sorted(venues)],
        "assets": list(parts.get(ASSET, {}).values()),
        "policy": parts[POLICY][""],
        "risk": parts[RISK][""],
        **{name: [item for _, item in sorted(parts.get(part, {}).items())] for part, name in _LISTS.items()},
    }


def _venue(venue: Json, units: Iterable[Json]) -> Json:
    """Give a venue its units back, by their ids."""
    own = sorted(units, key=lambda each: str(each["unit"]["unit_id"]))
    liabilities = {each["unit"]["unit_id"]: each["liabilities"] for each in own if "liabilities" in each}
    return venue | {"units": [each["unit"] for each in own], "liabilities": liabilities}


def _account(json: Json) -> MarginAccount:
    known = tuple(Membership(**each | {"kind": MemberKind(each["kind"])}) for each in json["membership"])
    return MarginAccount(id=json["id"], members=tuple(json["members"]), membership=known)


def _doubts(found: Mapping[str, Json]) -> DoubtedUnits:
    doubts = {}
    for key, reason in found.items():
        venue_id, _, unit_id = key.rpartition("|")
        doubts[venue_id, bytes.fromhex(unit_id.removeprefix("0x"))] = Reason(**reason)
    return doubts
