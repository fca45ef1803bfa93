"""What indexers and the one who joins do with a lake, as documents."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from threading import Lock

from aggregator.told import Told, each_told, untold
from crossmargin.app import unlocked
from crossmargin.documents import Document, moment
from crossmargin.errors import NotStored, UsageError
from crossmargin.settings import LakeSettings, Settings
from indexer.lake import Joined, Lake, LakeSet, Parts, join, ledgers, read_set, tidy
from indexer.lake.joining import reach
from indexer.store import Store

UNNAMED_S = 86_400
"""For so long a file that nobody names may belong to a part that is being made."""


class LakeParts:
    """Publishes the parts of a store's chains, one after the other."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._lock = Lock()

    def publish(self, told: Told = untold) -> Document:
        """Publish the parts that are due, and return which; raises `StoreError` and `UsageError`."""
        said = lake_settings(self._settings)
        parts = Parts(Lake.at(said.url), said.work, period_s=said.period_s)
        with self._lock:
            chains = each_told(told, "chains", self._settings.chains)
            made = [part for chain in chains for part in parts.publish(self._store, chain.spec.id)]
        return {"parts": [_part(each) for each in made]}


def joined(settings: Settings) -> Document:
    """Join the newest set of all configured chains, with what this configuration's store was told by people; raises `StoreError`."""
    lake = Lake.at(lake_settings(settings).url)
    held = unlocked(settings, read_only=True) if settings.store.exists() else nullcontext()
    with held as store:
        said = {} if store is None else ledgers(store)
    return _joined(join(lake, [chain.spec.id for chain in settings.chains], said))


def shown(settings: Settings) -> Document:
    """Return the set that readers see, and how far every chain's newest part is; raises `StoreError`."""
    lake = Lake.at(lake_settings(settings).url)
    made = read_set(lake.filesystem, lake.root)
    if made is None:
        raise NotStored(f"{lake.name}: no set was joined here yet; run `crossmargin lake join`")
    return _set(made, reach(lake, [chain.spec.id for chain in settings.chains]))


def tidied(settings: Settings, keep: int, now: float) -> Document:
    """Remove all but the newest `keep` sets, and what only they named; raises `StoreError`."""
    return {"removed": tidy(Lake.at(lake_settings(settings).url), keep=keep, before=int(now) - UNNAMED_S)}


def lake_settings(settings: Settings) -> LakeSettings:
    """What the configuration says of a lake; raises `UsageError` where it says nothing."""
    if settings.lake is None:
        raise UsageError('no lake is configured; write [lake] with url = "a folder, or s3://bucket/path"')
    return settings.lake


def _part(part: LakeSet) -> Document:
    ((chain_id, cut),) = part.cut.items()
    return {"chain": chain_id, "cut_at": moment(part.cut_at), "block": cut.block, "hash": cut.hash}


def _joined(found: Joined) -> Document:
    return {**_set(found.made, found.behind), "new": found.new}


def _set(made: LakeSet, newest: Mapping[str, int]) -> Document:
    return {
        "set": made.id,
        "cut_at": moment(made.cut_at),
        "cut": {
            chain_id: {"block": cut.block, "hash": cut.hash, "time": moment(cut.time)}
            for chain_id, cut in made.cut.items()
        },
        "newest_parts": {chain_id: moment(cut_at) if cut_at else None for chain_id, cut_at in newest.items()},
        "files": len(made.files),
        "rows": sum(file.rows for file in made.files),
        "bytes": sum(file.bytes for file in made.files),
    }
