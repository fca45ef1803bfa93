"""The journals of one state for many accounts at once: what no account has alone is read once, what each has with one question."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from aggregator.gather import Journals
from chains.identifiers import Account
from chains.model import Block, PriceAnswer, UnitSnapshot, VenueSnapshot, VenueSpec
from indexer.store.liabilities import LiabilityRow
from indexer.store.transfers import TransferRow


class ManyJournals(Journals, Protocol):
    """Journals that can be asked about some owners at once."""

    def unit_snapshots(
        self, venue: VenueSpec, at: Block, *, owner: bytes | None = None, owners: Sequence[bytes] | None = None
    ) -> list[UnitSnapshot]: ...

    def liabilities(
        self,
        venue: VenueSpec,
        keys: Sequence[bytes],
        *,
        until: int,
        owner: bytes | None = None,
        owners: Sequence[bytes] | None = None,
    ) -> Sequence[LiabilityRow]: ...


class SharedJournals:
    """Answers as `journals` does, of the accounts of `members` at least; only good as long as the state that `journals` reads is."""

    def __init__(self, journals: ManyJournals, members: Iterable[Account]) -> None:
        self._journals = journals
        self._members = frozenset(members)
        self._venues: dict[tuple[str, Block], VenueSnapshot] = {}
        self._units: dict[tuple[str, Block], dict[bytes, list[UnitSnapshot]]] = {}
        self._said: dict[tuple[str, int], dict[bytes, list[LiabilityRow]]] = {}
        self._feeds: dict[tuple[str, Block], Mapping[bytes, str]] = {}
        self._answers: dict[tuple[str, Block], Mapping[bytes, PriceAnswer]] = {}
        self._recent: dict[tuple[str, Block, tuple[bytes, ...], int], Mapping[bytes, Sequence[PriceAnswer]]] = {}

    def venue_snapshot(self, venue: VenueSpec, at: Block) -> VenueSnapshot:
        key = (venue.id, at)
        if key not in self._venues:
            self._venues[key] = self._journals.venue_snapshot(venue, at)
        return self._venues[key]

    def unit_snapshots(self, venue: VenueSpec, at: Block, *, owner: bytes | None = None) -> list[UnitSnapshot]:
        if owner is None or Account(venue.chain_id, owner) not in self._members:
            return self._journals.unit_snapshots(venue, at, owner=owner)
        key = (venue.id, at)
        if key not in self._units:
            found: dict[bytes, list[UnitSnapshot]] = {}
            for unit in self._journals.unit_snapshots(venue, at, owners=self._on(venue.chain_id)):
                found.setdefault(unit.owner, []).append(unit)
            self._units[key] = found
        return self._units[key].get(owner, [])

    def liabilities(
        self, venue: VenueSpec, keys: Sequence[bytes], *, until: int, owner: bytes | None = None
    ) -> Sequence[LiabilityRow]:
        if owner is None or Account(venue.chain_id, owner) not in self._members:
            return self._journals.liabilities(venue, keys, until=until, owner=owner)
        key = (venue.id, until)
        if key not in self._said:
            found: dict[bytes, list[LiabilityRow]] = {}
            for row in self._journals.liabilities(venue, keys, until=until, owners=self._on(venue.chain_id)):
                found.setdefault(row.owner, []).append(row)
            self._said[key] = found
        return self._said[key].get(owner, [])

    def transfers(self, recipients: Collection[str]) -> Sequence[TransferRow]:
        wanted = set(recipients)
        if not wanted <= self._names:
            return self._journals.transfers(recipients)
        return [row for row in self._sent if row.recipient in wanted] if self._sent else []

    def feeds(self, chain_id: str, at: Block) -> Mapping[bytes, str]:
        key = (chain_id, at)
        if key not in self._feeds:
            self._feeds[key] = self._journals.feeds(chain_id, at)
        return self._feeds[key]

    def answers(self, chain_id: str, at: Block) -> Mapping[bytes, PriceAnswer]:
        key = (chain_id, at)
        if key not in self._answers:
            self._answers[key] = self._journals.answers(chain_id, at)
        return self._answers[key]

    def recent_answers(
        self, chain_id: str, at: Block, sources: Sequence[bytes], window_s: int
    ) -> Mapping[bytes, Sequence[PriceAnswer]]:
        key = (chain_id, at, tuple(sources), window_s)
        if key not in self._recent:
            self._recent[key] = self._journals.recent_answers(chain_id, at, sources, window_s)
        return self._recent[key]

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(map(str, self._members))

    @cached_property
    def _sent(self) -> Sequence[TransferRow]:
        return self._journals.transfers(sorted(self._names))

    def _on(self, chain_id: str) -> list[bytes]:
        return sorted(member.address for member in self._members if member.chain_id == chain_id)
