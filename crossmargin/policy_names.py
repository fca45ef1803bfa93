"""What a policy names must be there: a limit of something that is spelt otherwise would limit nothing, and nobody would know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from aggregator.margin.policy import Policy
from aggregator.margin.policy_text import unknown_name
from aggregator.margin.pool_policy import OTHER
from crossmargin.settings import Settings


def unknown_in_pools(settings: Settings, policy: Policy) -> Iterator[str]:
    """Say what pools name and the configuration does not have: venues, classes, identities, assets, chains."""
    venues = {venue.id for venue in settings.venues}
    names = {asset.same_as or asset.id for asset in settings.assets} | policy.classes.keys()
    chains = {chain.spec.id for chain in settings.chains}
    for pool in policy.pools:
        said: tuple[tuple[str, Iterable[str], Collection[str]], ...] = (
            ("venues", pool.venues, venues),
            ("eligible", pool.eligible, names | {asset.id for asset in settings.assets}),
            ("cap_usd", pool.cap_usd, names | {OTHER}),
            ("max_share", pool.max_share, names | {OTHER}),
            ("minimum_charge_usd", pool.minimum_charge_usd, chains | {OTHER}),
        )
        for key, used, known in said:
            for name in used:
                if name not in known:
                    yield f'[[pool]] "{pool.id}" {key}: {unknown_name("name", name, tuple(sorted(known)))}'
