"""A chain on which a Comet does what it likes: its accounting and events, as its source has them.

Of solvency it knows only that who borrows by a transfer has collateral. It is written after `CometWithExtendedAssetList` and shares no
arithmetic with the adapter. The node has the state of every block, or of the Comet in the newest `window` blocks alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from eth_abi.abi import encode

from chains.evm.abi import Event, Function
from chains.evm.compound_v3 import events as ev
from chains.evm.erc20 import SYMBOL
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, LATEST_ANSWER
from chains.model import Block, ChainSpec, VenueSpec
from crossmargin.demo.node import RpcError
from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode

BASE, COMET = b"\xba" * 20, b"\xc0" * 20
TOKENS = (b"\xe1" * 20, b"\xe2" * 20)
FEEDS = {token: b"\xfe" + token[1:] for token in (BASE, *TOKENS)}
PEOPLE = tuple(bytes([i]) * 20 for i in range(1, 7))
NOBODY = bytes(20)
DEPLOYED, BORN = 3, 1_700_000_000
INDEX, FACTOR = 10**15, 10**18
PRICES = {BASE: 10**8, TOKENS[0]: 3_000 * 10**8, TOKENS[1]: 7 * 10**7}


@dataclass(slots=True)
class Comet:
    """What the contract keeps."""

    supply_index: int = INDEX
    borrow_index: int = INDEX
    total_supply: int = 0
    total_borrow: int = 0
    accrued_at: int = 0
    pause_flags: int = 0
    principals: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    collateral: dict[tuple[bytes, bytes], int] = field(default_factory=lambda: defaultdict(int))
    deactivated: set[int] = field(default_factory=set)
    rate: int = 2_000_000_000
    factor: int = 9 * 10**17

    def accrue(self, now: int) -> None:
        if now == self.accrued_at:
            return
        supplied = self.total_supply * self.supply_index // INDEX
        used = (self.total_borrow * self.borrow_index // INDEX) * FACTOR // supplied if supplied else 0
        elapsed, kink = now - self.accrued_at, 8 * 10**17
        slope = self.rate * min(used, kink) // FACTOR
        steep = 10 * self.rate * (used - kink) // FACTOR if used > kink else 0
        self.supply_index += self.supply_index * ((slope + steep) * elapsed) // FACTOR
        self.borrow_index += self.borrow_index * ((self.rate + slope + steep) * elapsed) // FACTOR
        self.accrued_at = now

    def balance(self, who: bytes) -> int:
        principal = self.principals[who]
        return principal * self.supply_index // INDEX if principal >= 0 else -(-principal * self.borrow_index // INDEX)

    def add(self, who: bytes, amount: int) -> tuple[int, int]:
        """Return what was withdrawn from supply (negative) or supplied, and what was borrowed or repaid (negative)."""
        balance, old = self.balance(who) + amount, self.principals[who]
        owed = (max(-balance, 0) * INDEX + self.borrow_index - 1) // self.borrow_index
        new = balance * INDEX // self.supply_index if balance >= 0 else -owed
        self.principals[who] = new
        if (amount >= 0 and new < old) or (amount < 0 and new > old):
            return 0, 0
        supplied, owed = max(new, 0) - max(old, 0), max(-new, 0) - max(-old, 0)
        self.total_supply += supplied
        self.total_borrow += owed
        return supplied, owed

    def worth(self, principal: int) -> int:
        return principal * self.supply_index // INDEX


class Model:
    """A chain of `length` blocks, made from a seed; `hiding`: how often transfers share a block with what tells of others."""

    def __init__(self, seed: int, length: int, *, quiet: float = 0.3, hiding: int = 2) -> None:
        self.random = random.Random(seed)
        self.hiding = hiding
        self.comet = Comet()
        self.blocks: dict[int, dict[str, Any]] = {}
        self.logs: list[dict[str, Any]] = []
        self.calls: dict[tuple[str, str], list[tuple[int, object]]] = defaultdict(list)
        self.kept: dict[int, dict[bytes, int]] = {}
        self.totals: dict[int, tuple[int, ...]] = {}
        self.deactivated: dict[int, list[int]] = {}
        self.silent: list[int] = []
        self.now, self.number, self.last = BORN, 0, length
        for token, feed in FEEDS.items():
            self._say(token, SYMBOL, f"T{token[0]:x}".encode())
            self._say(feed, ev.DESCRIPTION, b"T / USD")
            self._say(feed, AGGREGATOR, "0x" + b"\xa9".hex() + feed[1:].hex())
            self._say(feed, LATEST_ANSWER, PRICES[token])
        for number in range(length + 1):
            self._block(number, quiet)

    # Chain

    def _block(self, number: int, quiet: float) -> None:
        self.number, self.now = number, self.now + self.random.choice([12, 12, 600, 86_400])
        parent = self.blocks[number - 1]["hash"] if number else "0x" + "00" * 32
        digest = "0x" + sha256(f"{parent}{number}".encode()).hexdigest()
        self.blocks[number] = {
            "number": hex(number), "hash": digest, "parentHash": parent, "timestamp": hex(self.now),
        }  # fmt: skip
        before = len(self.logs)
        if number == 1:
            for token, feed in FEEDS.items():
                self._emit(ANSWER_UPDATED, PRICES[token], 1, self.now, by=b"\xa9" + feed[1:])
        if number == DEPLOYED:
            self._emit(ev.UPGRADED, b"\x99" * 20)
            self.comet.accrued_at = self.now
            self._terms()
        if number == DEPLOYED + 1:
            self.supply(PEOPLE[0], 10**14)
        elif number > DEPLOYED and self.random.random() >= quiet:
            self._act()
        if number >= DEPLOYED:
            self._keep(silent=len(self.logs) == before)

    def _emit(self, event: Event, *args: Any, by: bytes = COMET) -> None:
        indexed = [encode([a.type], [v]) for a, v in zip(event.arguments, args, strict=True) if a.indexed]
        plain = [(a.type, v) for a, v in zip(event.arguments, args, strict=True) if not a.indexed]
        here = [log for log in self.logs if log["blockNumber"] == hex(self.number)]
        self.logs.append(
            {
                "address": "0x" + by.hex(),
                "topics": ["0x" + topic.hex() for topic in (event.topic0, *indexed)],
                "data": "0x" + encode([t for t, _ in plain], [v for _, v in plain]).hex(),
                "blockNumber": hex(self.number),
                "blockHash": self.blocks[self.number]["hash"],
                "transactionHash": "0x" + self.number.to_bytes(32).hex(),
                "transactionIndex": "0x0",
                "logIndex": hex(len(here)),
                "removed": False,
            }
        )

    def _say(self, to: bytes, view: Function, *values: object, of: Sequence[object] = ()) -> None:
        key = "0x" + to.hex(), "0x" + view.calldata(*of).hex()
        answer = "0x" + encode(view._results, values).hex()
        if not self.calls[key] or self.calls[key][-1][1] != answer:
            self.calls[key].append((self.number, answer))

    def _keep(self, *, silent: bool) -> None:
        comet = self.comet
        totals = (
            comet.supply_index, comet.borrow_index, 0, 0, comet.total_supply, comet.total_borrow, comet.accrued_at,
            comet.pause_flags,
        )  # fmt: skip
        if silent and self.totals.get(self.number - 1, totals) != totals:
            self.silent.append(self.number)
        self._say(COMET, ev.TOTALS_BASIC, *totals)
        for who in PEOPLE:
            self._say(COMET, ev.USER_BASIC, comet.principals[who], 0, 0, 0, 0, of=["0x" + who.hex()])
        self.kept[self.number] = dict(comet.principals)
        self.deactivated[self.number] = sorted(comet.deactivated)
        self.totals[self.number] = totals

    def _terms(self) -> None:
        self._say(COMET, ev.BASE_TOKEN, "0x" + BASE.hex())
        self._say(COMET, ev.BASE_FEED, "0x" + FEEDS[BASE].hex())
        numbers = {"base_scale": 10**6, "base_borrow_min": 1, "target_reserves": 0, "store_front_price_factor": 0}
        for name, view in ev.NUMBERS.items():
            self._say(COMET, view, numbers[name])
        for curve, base in ((ev.SUPPLY_CURVE, 0), (ev.BORROW_CURVE, self.comet.rate)):
            slopes = {"kink": 8 * 10**17, "low": self.comet.rate, "high": 10 * self.comet.rate, "base": base}
            for name, view in curve.items():
                self._say(COMET, view, slopes[name])
        self._say(COMET, ev.ASSETS, len(TOKENS))
        for i, token in enumerate(TOKENS):
            feed = "0x" + FEEDS[token].hex()
            factors = self.comet.factor - 10**17, self.comet.factor, 95 * 10**16
            self._say(COMET, ev.DEACTIVATED, i in self.comet.deactivated, of=[i])
            self._say(COMET, ev.ASSET_INFO, i, "0x" + token.hex(), feed, 10**18, *factors, 2**100, of=[i])

    # What happens

    def _act(self) -> None:
        weights = {
            self.supply: 4, self.withdraw: 4, self.transfer: 4, self.supply_collateral: 3, self.withdraw_collateral: 1,
            self.transfer_collateral: 1, self.accrue: 4, self.absorb: 1, self.pause: 1, self.upgrade: 1, self.twice: 2,
            self.switch: 1, self.behind: self.hiding,
        }  # fmt: skip
        (act,) = self.random.choices(list(weights), list(weights.values()))
        act()

    def _somebody(self) -> bytes:
        return self.random.choice(PEOPLE)

    def _amount(self) -> int:
        return self.random.choice([0, 1, 999, 10**6, 123_456_789, 10**12])

    def twice(self) -> None:
        """Two operations that each name somebody, in one block."""
        self.supply()
        self.random.choice([self.supply, self.withdraw, self.supply_collateral])()

    def behind(self) -> None:
        """A transfer that may tell of nobody, in one block with an operation that tells of somebody."""
        self.transfer()
        self.supply_collateral()

    def supply(self, who: bytes | None = None, amount: int | None = None) -> None:
        self.comet.accrue(self.now)
        who, amount = who or self._somebody(), self._amount() if amount is None else amount
        supplied, _ = self.comet.add(who, amount)
        self._emit(ev.SUPPLY, self._somebody(), who, amount)
        if supplied:
            self._emit(ev.TRANSFER, NOBODY, who, self.comet.worth(supplied))

    def withdraw(self) -> None:
        self.comet.accrue(self.now)
        who, amount = self._somebody(), self._amount()
        supplied, _ = self.comet.add(who, -amount)
        self._emit(ev.WITHDRAW, who, self._somebody(), amount)
        if supplied:
            self._emit(ev.TRANSFER, who, NOBODY, self.comet.worth(-supplied))

    def transfer(self) -> None:
        self.comet.accrue(self.now)
        sender, receiver = self.random.sample(PEOPLE, 2)
        amount = self._amount()
        if self.comet.balance(sender) < amount and not any(self.comet.collateral[sender, token] for token in TOKENS):
            return  # a borrower must have collateral
        withdrawn, _ = self.comet.add(sender, -amount)
        supplied, _ = self.comet.add(receiver, amount)
        if withdrawn:
            self._emit(ev.TRANSFER, sender, NOBODY, self.comet.worth(-withdrawn))
        if supplied:
            self._emit(ev.TRANSFER, NOBODY, receiver, self.comet.worth(supplied))

    def accrue(self) -> None:
        self.comet.accrue(self.now)

    def supply_collateral(self) -> None:
        who, token, amount = self._somebody(), self.random.choice(TOKENS), self._amount() * 10**9
        self.comet.collateral[who, token] += amount
        self._emit(ev.SUPPLY_COLLATERAL, self._somebody(), who, token, amount)

    def withdraw_collateral(self) -> None:
        who, token = self._somebody(), self.random.choice(TOKENS)
        amount = self.comet.collateral[who, token] // 2
        self.comet.collateral[who, token] -= amount
        self._emit(ev.WITHDRAW_COLLATERAL, who, who, token, amount)

    def transfer_collateral(self) -> None:
        (sender, receiver), token = self.random.sample(PEOPLE, 2), self.random.choice(TOKENS)
        amount = self.comet.collateral[sender, token]
        self.comet.collateral[sender, token] -= amount
        self.comet.collateral[receiver, token] += amount
        self._emit(ev.TRANSFER_COLLATERAL, sender, receiver, token, amount)

    def absorb(self) -> None:
        self.comet.accrue(self.now)
        who = self._somebody()
        if self.comet.principals[who] >= 0:
            return
        for token in TOKENS:
            if amount := self.comet.collateral[who, token]:
                self.comet.collateral[who, token] = 0
                self._emit(ev.ABSORB_COLLATERAL, self._somebody(), who, token, amount, 1)
        paid = -self.comet.balance(who) + self._amount()
        supplied, _ = self.comet.add(who, paid)
        self._emit(ev.ABSORB_DEBT, self._somebody(), who, paid, 1)
        if supplied:
            self._emit(ev.TRANSFER, NOBODY, who, self.comet.worth(supplied))

    def pause(self) -> None:
        self.comet.pause_flags ^= 1
        self._emit(ev.PAUSE_ACTION, bool(self.comet.pause_flags), False, False, False, False)  # noqa: FBT003 - as the event has it

    def switch(self) -> None:
        self.comet.deactivated ^= {0}
        name = "CollateralDeactivated" if self.comet.deactivated else "CollateralActivated"
        self._emit(Event(f"{name}(uint24 indexed assetIndex)"), 0)
        self._terms()

    def upgrade(self) -> None:
        self.comet.rate = self.random.randrange(10**9, 10**10)
        self.comet.factor -= 10**16
        self._emit(ev.UPGRADED, b"\x98" * 20)
        self._terms()

    # As a node and as a configuration

    def recording(self) -> Recording:
        """The chain as a node serves it."""
        return Recording(
            label="model", chain_number=1, blocks=self.blocks, logs=self.logs, calls=self.calls,
            code={"0x" + COMET.hex(): DEPLOYED} | {"0x" + (b"\xa9" + feed[1:]).hex(): 0 for feed in FEEDS.values()},
            market={}, story={}, expected=[],
        )  # fmt: skip

    def block(self, number: int) -> Block:
        """A block as a value."""
        return _block(self.blocks[number])

    def venue(self) -> VenueSpec:
        """The Comet as a configured venue."""
        return VenueSpec(id="comet", protocol="compound-v3", chain_id="eip155:1", address=COMET, start_block=1)

    def spec(self, url: str) -> ChainSpec:
        """The chain as configured over a node."""
        return ChainSpec(
            id="eip155:1", name="model", rpc=(url,), finality="finalized", start_block=0, completeness="none"
        )


def _block(header: dict[str, Any]) -> Block:
    digest, parent = (bytes.fromhex(header[name][2:]) for name in ("hash", "parentHash"))
    return Block(number=int(header["number"], 16), hash=digest, parent_hash=parent, time=int(header["timestamp"], 16))


class Forgetful(ReplayNode):
    """A node that keeps the state of the Comet in its newest blocks alone."""

    def __init__(self, recording: Recording, *, window: int, head: int | None = None) -> None:
        super().__init__(recording, head=head)
        self.window = window

    def _call(self, params: Sequence[Any]) -> object:
        forgotten = params[0]["to"].lower() == "0x" + COMET.hex()
        if forgotten and self._state_of(params[1]) <= self.head - self.window:
            raise RpcError(-32000, "missing trie node 5d2e (path ) state 0x5d2e is not available")
        return super()._call(params)
