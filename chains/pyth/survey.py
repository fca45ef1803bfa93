"""What Hermes endpoints can do, each measured by itself with one question, which is that of every look."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic, time

from chains.errors import ChainError
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.pyth.endpoints import Endpoint, Endpoints
from chains.pyth.fold import Hermes
from chains.rpc.observer import Unobserved
from chains.survey.facts import Ability, NodeSurvey, Sight

SOL_USD = bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d")
"""Asked for where no feed is configured yet."""


async def survey(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> list[NodeSurvey]:
    """Measure every endpoint, side by side."""
    del venues
    hermes = Hermes(feeds, spec.guardian_sets)
    endpoints = Endpoints(spec.rpc, observer=Unobserved())
    try:
        return await asyncio.gather(*(_measured(spec, endpoints, each, hermes) for each in endpoints.all))
    finally:
        await endpoints.aclose()


async def _measured(spec: ChainSpec, endpoints: Endpoints, endpoint: Endpoint, hermes: Hermes) -> NodeSurvey:
    wanted = hermes.feed_ids or [SOL_USD]
    began = monotonic()
    try:
        bodies = await endpoints.latest(endpoint, wanted)
    except ChainError as error:
        return NodeSurvey(label=endpoint.label, requests=1, calls=1, problem=f"gives no prices: {error}")
    latency_s = monotonic() - began
    said, refused = hermes.read(bodies)
    newest = max((each.price.publish_time for each in said.values()), default=0)
    if refused or not newest:
        problem = str(refused[0]) if refused else "the answer holds no price"
        return NodeSurvey(label=endpoint.label, requests=1, calls=1, problem=f"gives nothing usable: {problem}")
    missing = [feed_id.hex() for feed_id in wanted if feed_id not in said]
    return NodeSurvey(
        label=endpoint.label,
        requests=1,
        calls=1,
        served=spec.id,
        client="hermes",
        latency_s=latency_s,
        head=Sight(number=newest, time=newest, seen_at=time(), skew_s=None),
        abilities={
            "prices": Ability(value=not missing, said=f"it has no price of {missing[0]}" if missing else None),
            "signatures checked": Ability(value=bool(hermes.sets)),
        },
    )
