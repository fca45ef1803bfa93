"""Lists for programs: what accounts did, whom a price would liquidate, and what is followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chains.identifiers import format_address, format_hash, parse_account
from crossmargin.accounts import check_names
from crossmargin.documents import Document, moment, symbol
from crossmargin.errors import NoSuchThing
from crossmargin.local_desk import LocalDesk
from crossmargin.ordering import nearness
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.settings.shown import effective
from indexer.store import AccountEvent, EventPlace, Store


class Lists:
    """Answers over one desk; `account` as in `Desk`."""

    def __init__(self, settings: Settings, store: Store, desk: LocalDesk) -> None:
        self._settings = settings
        self._store = store
        self.desk = desk
        self._shown = effective(settings)

    def check_names(self, wanted: Mapping[str, Any]) -> None:
        """Refuse `owners`, `venues` and `assets` of which no event can be; raises `UsageError` and `NoSuchThing`."""
        check_names(self._settings, wanted)

    def history(
        self, account: str, kinds: Sequence[str], before: EventPlace | None, count: int
    ) -> tuple[Document, EventPlace | None]:
        """Return what the members of an account did, newest first, and the place of the last where there are more."""
        document = self.desk.health(account, None)
        owners = [(member.chain_id, member.address) for member in map(parse_account, document["members"])]
        with self._store.reading() as reader:
            found = reader.account_events(owners, kinds, before, count + 1)
        shown = found[:count]
        answer = {
            "account": document["account"],
            "as_of": document["as_of"],
            "events": [event_document(event) for event in shown],
        }
        return answer, shown[-1].place if len(found) > count else None

    def ladder(self, account: str) -> Document:
        """Return at which price of which asset the house would liquidate an account, all others unchanged, nearest first."""
        document = self.desk.health(account, None)
        return {
            "account": document["account"],
            "as_of": document["as_of"],
            "status": document["status"],
            "health_factor": document["health_factor"],
            "rungs": sorted(document["liquidation_prices"], key=nearness),
        }

    def ladders(self, identity: str | None) -> list[dict[str, Any]]:
        """Return the rungs of all configured accounts, of one identity or of all, nearest first; raises `NoSuchThing`."""
        names = [account.id for account in self._settings.accounts]
        rungs = [
            {"account": document["account"], "status": document["status"], **rung}
            for document in self.desk.healths(names, None)
            if isinstance(document, Mapping)
            for rung in document["liquidation_prices"]
            if identity is None or rung["identity"] == identity
        ]
        known = {asset.same_as or asset.id for asset in self._settings.assets}
        if identity is not None and not rungs and identity not in known:
            raise NoSuchThing(f'nothing configured or held is "{identity}"; {nearest(identity, known)}')
        return sorted(rungs, key=lambda rung: (nearness(rung), rung["account"], rung["identity"]))

    def venues(self) -> Document:
        """Return every configured venue."""
        return {"venues": self._shown["venue"]}

    def assets(self) -> Document:
        """Return every configured asset, with what it is the same as for prices."""
        return {
            "assets": [
                {
                    "id": asset.id,
                    "symbol": None if asset.symbol is None else symbol(asset.symbol),
                    "class": asset.asset_class,
                    "identity": asset.same_as or asset.id,
                    "bridge": asset.bridge,
                    "issuer": asset.issuer,
                }
                for asset in self._settings.assets
            ]
        }

    def feeds(self, at: str | None) -> Document:
        """Return what every feed said that a mark rests on, or was left out of it."""
        prices = self.desk.prices(at)
        return {"as_of": prices["as_of"], "feeds": list(_feeds(prices))}

    def chains(self) -> Document:
        """Return how far each chain is, and whether it may be believed."""
        status = self.desk.status()
        return {"chains": [_without(chain, "coverage", "audited") for chain in status["chains"]]}

    def coverage(self, chain_id: str | None) -> Document:
        """Return which spans of each chain are complete, by which proof; raises `NoSuchThing`."""
        status = self.desk.status()
        known = {chain["chain"] for chain in status["chains"]}
        if chain_id is not None and chain_id not in known:
            raise NoSuchThing(f'there is no chain "{chain_id}"; {nearest(chain_id, known)}')
        return {
            "chains": [
                {"chain": chain["chain"], "finalized_block": chain["finalized_block"], "coverage": chain["coverage"]}
                for chain in status["chains"]
                if chain_id in (None, chain["chain"])
            ]
        }


def event_document(event: AccountEvent) -> dict[str, Any]:
    """Write an event."""
    chain_id = event.chain_id
    return {
        "chain": chain_id,
        "block": event.block_number,
        "time": None if event.time is None else moment(event.time),
        "tx": format_hash(chain_id, event.tx_hash) if event.tx_hash else None,
        "ordinal": event.ordinal,
        "venue": event.venue_id,
        "kind": event.kind,
        "owner": format_address(chain_id, event.owner),
        "counterparty": None if event.counterparty is None else format_address(chain_id, event.counterparty),
        "asset": format_address(chain_id, event.asset) if event.asset else None,
        "symbol": None if event.symbol is None else symbol(event.symbol),
        "decimals": event.decimals,
        "amount_raw": str(event.amount_raw),
        "basis": event.basis,
        "extra": event.extra,
    }


def _feeds(prices: Document) -> Iterator[dict[str, Any]]:
    for price in prices["prices"]:
        for feed in price["feeds"]:
            yield {"identity": price["identity"], **feed}


def _without(document: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}
