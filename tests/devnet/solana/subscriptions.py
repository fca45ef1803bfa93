"""Who wants to hear of what, and what there is to tell after each change of the chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from solders.pubkey import Pubkey

from tests.devnet.solana.accounts import SYSTEM_PROGRAM, Image
from tests.devnet.solana.blocks import Block, Landed
from tests.devnet.solana.errors import RpcError, invalid
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.methods import filters, shown
from tests.devnet.solana.view import COMMITMENTS, Params, argument, commitment, config, in_context, pubkey, signature

NOBODY = Image(lamports=0, owner=SYSTEM_PROGRAM)
"""What nodes tell of an account that is gone."""


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One wish of one connection."""

    number: int
    kind: str
    connection: object
    level: str
    params: Params
    told_slot: int = 0
    """For an account: the slot that made the state told last; 0 for none."""


Told: TypeAlias = tuple[object, str, dict[str, Any]]
"""For which connection, the method, the message."""


class Hub:
    """The subscriptions at one node. Use it under the ledger's lock."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.subscriptions: dict[int, Subscription] = {}
        self._numbers = count(1)
        self._standing = ledger.standing()

    def add(self, connection: object, method: str, params: Params) -> tuple[int, list[Told]]:
        """A new subscription's number, and what it must hear at once."""
        kind = method.removesuffix("Subscribe")
        if kind not in KINDS:
            raise RpcError.unknown_method()
        checked(kind, params)
        level = "processed" if kind == "slot" else "finalized" if kind == "root" else commitment(options(kind, params))
        subscription = Subscription(
            number=next(self._numbers), kind=kind, connection=connection, level=level, params=params
        )
        self.subscriptions[subscription.number] = subscription
        newest = self._standing.at(level)
        if kind == "account":
            subscription.told_slot = self.ledger.version_at(pubkey(params[0]), newest.slot)[0]
        at_once = list(self._signature(subscription, newest)) if kind == "signature" else []
        return subscription.number, at_once

    def remove(self, connection: object, number: Any) -> bool:
        """End a subscription. Raises RpcError when there is none."""
        found = self.subscriptions.get(number) if isinstance(number, int) else None
        if found is None or found.connection is not connection:
            raise invalid("Invalid subscription id.")
        del self.subscriptions[found.number]
        return True

    def leave(self, connection: object) -> None:
        """End all subscriptions of a connection."""
        kept = {n: each for n, each in self.subscriptions.items() if each.connection is not connection}
        self.subscriptions = kept

    def changed(self, lag: int) -> list[Told]:
        """What is to be told since the last time, in order, by a node that stands a number of slots behind."""
        before, self._standing = self._standing, self.ledger.standing(lag)
        told: list[Told] = []
        for level in COMMITMENTS:
            newest = self._standing.at(level)
            blocks = self.ledger.between(before.at(level).slot + 1, newest.slot)
            for block in blocks or [newest]:
                told += self._tell(level, block, new=bool(blocks))
        return told

    def _tell(self, level: str, block: Block, *, new: bool) -> Iterator[Told]:
        """What a block that reached a commitment changed; one that did so before can only have reverted accounts."""
        for subscription in list(self.subscriptions.values()):
            if subscription.level == level and (new or subscription.kind == "account"):
                yield from KINDS[subscription.kind](self, subscription, block)

    def _slot(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        root = self._standing.finalized.slot
        yield message(subscription, {"parent": block.parent_slot, "root": root, "slot": block.slot})

    def _root(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        yield message(subscription, block.slot)

    def _logs(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        for landed in block.transactions:
            if mentioned(subscription.params[0], landed):
                value = {"signature": landed.signature, "err": landed.error, "logs": list(landed.logs)}
                yield message(subscription, in_context(block, value))

    def _signature(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        landed = self.ledger.transactions.get(signature(subscription.params[0]))
        if landed is not None and landed.slot <= block.slot:
            self.subscriptions.pop(subscription.number, None)
            yield message(subscription, in_context(block, {"err": landed.error}))

    def _account(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        """Also when a lost fork brings an older state back."""
        slot, image = self.ledger.version_at(pubkey(subscription.params[0]), block.slot)
        modified = slot if image is not None else 0
        if modified != subscription.told_slot:
            subscription.told_slot = modified
            wanted = options("account", subscription.params)
            yield message(subscription, in_context(block, shown(image or NOBODY, wanted)))

    def _program(self, subscription: Subscription, block: Block) -> Iterator[Told]:
        """Accounts that the program still owns: nodes do not tell of those that were closed."""
        program, wanted = pubkey(subscription.params[0]), options("program", subscription.params)
        tests = filters(wanted)
        for key in sorted(block.changed, key=bytes):
            image = self.ledger.account_at(key, block.slot)
            if image is not None and image.owner == program and all(test(image) for test in tests):
                value = {"pubkey": str(key), "account": shown(image, wanted)}
                yield message(subscription, in_context(block, value))


KINDS: dict[str, Callable[[Hub, Subscription, Block], Iterator[Told]]] = {
    "account": Hub._account,
    "logs": Hub._logs,
    "program": Hub._program,
    "root": Hub._root,
    "signature": Hub._signature,
    "slot": Hub._slot,
}


def options(kind: str, params: Params) -> dict[str, Any]:
    """The options of a subscription."""
    return {} if kind in {"slot", "root"} else dict(config(params, 1))


def checked(kind: str, params: Params) -> None:
    """Raise RpcError for parameters that make no sense."""
    if kind in {"account", "program"}:
        pubkey(argument(params, 0))
        filters(options(kind, params))
    elif kind == "signature":
        signature(argument(params, 0))
    elif kind == "logs":
        wanted = argument(params, 0)
        if wanted not in ("all", "allWithVotes") and len(mentions(wanted)) != 1:
            raise invalid("Invalid Request: Only 1 address supported")


def mentions(wanted: Any) -> list[Pubkey]:
    """The addresses of a filter of logs."""
    if not isinstance(wanted, dict) or not isinstance(wanted.get("mentions"), list):
        raise invalid(f"Invalid params: unknown filter {wanted!r}")
    return [pubkey(each) for each in wanted["mentions"]]


def mentioned(wanted: Any, landed: Landed) -> bool:
    """Whether a filter of logs lets a transaction through."""
    return isinstance(wanted, str) or any(key in landed.keys for key in mentions(wanted))


def message(subscription: Subscription, result: Any) -> Told:
    """A notification in JSON-RPC dress."""
    method = f"{subscription.kind}Notification"
    params = {"result": result, "subscription": subscription.number}
    return subscription.connection, method, {"jsonrpc": "2.0", "method": method, "params": params}
