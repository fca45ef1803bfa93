"""A configuration file read into `Settings`, or refused with everything that is wrong with it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from chains.model import ChainSpec, VenueSpec
from crossmargin.settings import bridges, followed, running
from crossmargin.settings.errors import NoConfiguration, SettingsError
from crossmargin.settings.model import PublishSettings, RebalancingSettings, Settings, SnapshotSettings
from crossmargin.settings.references import unresolved
from crossmargin.settings.section import Section, unknown

T = TypeVar("T")
S = TypeVar("S", ChainSpec, VenueSpec)

FILE_NAME = "crossmargin.toml"
VARIABLE = "CROSSMARGIN_CONFIG"
LISTS = ("chain", "venue", "feed", "asset", "account", "bridge")
TABLES = (
    "store",
    "server",
    "snapshot",
    "audit",
    "risk",
    "membership",
    "rebalancing",
    "publish",
    "lake",
    "sql",
    "events",
    "webhooks",
    "policy",
    "trust",
)


def locate(option: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file to read: the option, `CROSSMARGIN_CONFIG`, or `crossmargin.toml` in this folder.

    Raises `SettingsError`.
    """
    path = option or Path(environment.get(VARIABLE) or FILE_NAME)
    if path.is_file():
        return path
    if option or environment.get(VARIABLE):
        raise SettingsError(None, (f"there is no configuration file at {path}",))
    raise NoConfiguration(
        None,
        (
            f"there is no {FILE_NAME} in this folder; write one with `crossmargin init`, or name one with --config FILE or in {VARIABLE}",
        ),
    )


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return what a file says; raises `SettingsError` with all that is wrong."""
    document = _parsed(path)
    problems: list[str] = []
    reader = _Reader(document, problems, environment)
    settings = reader.settings(path.absolute())
    problems += unresolved(settings, chains_read=reader.chains_read(settings))
    if problems:
        raise SettingsError(path, tuple(problems))
    return settings


def _from_zero(spec: S) -> S:
    """Begin with block 0, which is always right, until it is found where to."""
    return replace(spec, start_block=0) if spec.start_block == followed.AUTO else spec


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(None, (f"{path} cannot be read: {error.strerror}",)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(path, (f"is not TOML: {error}",)) from error


class _Reader:
    """Reads the sections of one document; problems go into one list."""

    def __init__(self, document: Mapping[str, object], problems: list[str], environment: Mapping[str, str]) -> None:
        self._document = document
        self._problems = problems
        self._environment = environment
        known = LISTS + TABLES
        problems += [unknown("section", key, known) for key in document if key not in known]

    def settings(self, path: Path) -> Settings:
        places = running.Places(path.parent)
        kept = self._table("store", lambda section: running.store(section, places)) or places.kept
        store = kept.path
        beside = SnapshotSettings(folder=store.parent / "snapshots", schedule=None, keys=store.parent / "keys")
        published = PublishSettings(folder=store.parent / "published", schedule=None)
        chains, venues = self._list("chain", followed.chain), self._list("venue", followed.venue)
        starts = {venue.id: venue.start_block for venue in venues} | {
            chain.spec.id: chain.spec.start_block for chain in chains
        }
        return Settings(
            path=path,
            store=store,
            backups=kept.backups,
            chains=tuple(replace(chain, spec=_from_zero(chain.spec)) for chain in chains),
            venues=tuple(map(_from_zero, venues)),
            auto=frozenset(name for name, start in starts.items() if start == followed.AUTO),
            feeds=self._list("feed", followed.feed),
            assets=self._list("asset", followed.asset),
            accounts=self._list("account", followed.account),
            server=self._table("server", running.server) or running.SERVER,
            snapshot=self._table("snapshot", lambda section: running.snapshot(section, places, beside)) or beside,
            audit=self._table("audit", running.audit) or running.AUDIT,
            risk=self._table("risk", running.risk) or running.RISK,
            rebalancing=self._table("rebalancing", running.rebalancing) or RebalancingSettings(),
            membership=self._table("membership", running.membership) or running.MEMBERSHIP,
            publish=self._table("publish", lambda section: running.publish(section, places, published)) or published,
            lake=self._table("lake", lambda section: running.lake(section, places, store))
            if "lake" in self._document
            else None,
            events=self._table("events", running.events) or running.EVENTS,
            webhooks=self._table("webhooks", lambda section: running.webhooks(section, places)) or running.WEBHOOKS,
            sql=self._table("sql", running.sql) or running.SQL,
            policy=self._table("policy", lambda section: running.policy(section, places)),
            bridges=self._list("bridge", bridges.bridge),
            guardian_sets=self._table("trust", bridges.trust) or (),
        )

    def _table(self, key: str, read: Callable[[Section], T | None]) -> T | None:
        value = self._document.get(key, {})
        if not isinstance(value, dict):
            self._problems.append(f"[{key}] must be one table, not {type(value).__name__}; write [{key}]")
            return None
        return read(Section(value, f"[{key}]", self._problems, self._environment))

    def _list(self, key: str, read: Callable[[Section], T | None]) -> tuple[T, ...]:
        value = self._document.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._problems.append(f"[[{key}]] must be a list of tables; write [[{key}]] before each")
            return ()
        tables = (
            Section(table, followed.place(key, number, table), self._problems, self._environment)
            for number, table in enumerate(value, start=1)
        )
        return tuple(made for made in map(read, tables) if made is not None)

    def chains_read(self, settings: Settings) -> bool:
        """Whether every [[chain]] of the file could be read: only then is a missing one really missing."""
        written = self._document.get("chain", [])
        return isinstance(written, list) and len(written) == len(settings.chains)
