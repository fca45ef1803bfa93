"""Workload B: a market under the rules of Aave 3.5 (or 3.0) from its deployment on, with its book: every scaled balance at the end.

Contracts, reserves and feeds are announced by the events of a real deployment; what no event carries is answered as views, those that
change (`scaledTotalSupply`, `latestAnswer`) as of every block.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from bench.sync.aave_market import TOPICS, Emitted, Market, Reserve, Token
from bench.sync.recorded import TAIL, Log, Writer, address, padded, time_of, word

CHAIN_ID = 31_338
REVISIONS = {"3.0": 1, "3.5": 9}
"""`POOL_REVISION` by version."""

_DEPLOYMENT = {
    "OwnershipTransferred": "OwnershipTransferred(address,address)",
    "ProxyCreated": "ProxyCreated(bytes32,address,address)",
    "Upgraded": "Upgraded(address)",
    "PriceOracleUpdated": "PriceOracleUpdated(address,address)",
    "AssetSourceUpdated": "AssetSourceUpdated(address,address)",
    "ReserveInitialized": "ReserveInitialized(address,address,address,address,address)",
    "CollateralConfigurationChanged": "CollateralConfigurationChanged(address,uint256,uint256,uint256)",
    "EModeCategoryAdded": "EModeCategoryAdded(uint8,uint256,uint256,uint256,address,string)",
}
ALL_TOPICS = TOPICS | {name: "0x" + keccak(text=signature).hex() for name, signature in _DEPLOYMENT.items()}
NOWHERE = "0x" + "00" * 20


def selector(signature: str, *arguments: str) -> str:
    """Return the calldata of a view, its arguments as words in hex."""
    return "0x" + keccak(text=signature)[:4].hex() + "".join(arguments)


class Deployment:
    """The market's contracts, and what they say while they are set up."""

    def __init__(self, market: Market, seed: int, revision: int) -> None:
        self.market = market
        self.revision = revision
        self.provider, self.configurator, self.oracle, self.admin = (
            address(name, seed) for name in ("provider", "configurator", "oracle", "admin")
        )
        self.born = {market.pool: 2, self.provider: 1}

    def blocks(self) -> list[list[Emitted]]:
        """Return the logs of blocks 1, 2 and 3."""
        provider, pool = self.provider, self.market.pool
        code = padded(address("code"))
        wired: list[Emitted] = [
            (pool, "Upgraded", (code,), ""),
            (provider, "ProxyCreated", (b"POOL".hex().ljust(64, "0"), padded(pool), code), ""),
            (
                provider,
                "ProxyCreated",
                (b"POOL_CONFIGURATOR".hex().ljust(64, "0"), padded(self.configurator), code),
                "",
            ),
            (provider, "PriceOracleUpdated", (padded(NOWHERE), padded(self.oracle)), ""),
        ]
        owned: Emitted = (provider, "OwnershipTransferred", (padded(NOWHERE), padded(self.admin)), "")
        emode = encode(["uint256", "uint256", "uint256", "address", "string"], [9_300, 9_500, 10_100, NOWHERE, "ETH"])
        listed = [log for reserve in self.market.reserves for log in self._listed(reserve)]
        listed.append((self.configurator, "EModeCategoryAdded", (word(1),), emode.hex()))
        return [[owned], wired, listed]

    def _listed(self, reserve: Reserve) -> list[Emitted]:
        asset = padded(reserve.asset)
        tokens = padded(NOWHERE) + padded(reserve.v.address) + padded(address("strategy"))
        return [
            (self.oracle, "AssetSourceUpdated", (asset, padded(reserve.source)), ""),
            (reserve.a.address, "Upgraded", (padded(address("code of a token")),), ""),
            (reserve.v.address, "Upgraded", (padded(address("code of a debt token")),), ""),
            (self.configurator, "ReserveInitialized", (asset, padded(reserve.a.address)), tokens),
            (self.configurator, "CollateralConfigurationChanged", (asset,), word(7_500) + word(8_000) + word(10_500)),
            (
                reserve.aggregator, "AnswerUpdated", (word(reserve.price), word(0)), word(time_of(3)),
            ),
        ]  # fmt: skip

    def calls(self) -> dict[str, dict[str, str]]:
        """Return the answers of views that never change."""
        pool, reserves = self.market.pool, self.market.reserves
        answers: dict[str, dict[str, str]] = {
            pool: {
                selector("POOL_REVISION()"): "0x" + word(self.revision),
                selector("getEModeCategoryCollateralBitmap(uint8)", word(1)): "0x" + word(0),
            },
            self.provider: {
                selector("getPriceOracle()"): "0x" + padded(self.oracle),
                selector("getPoolConfigurator()"): "0x" + padded(self.configurator),
            },
            self.oracle: {selector("BASE_CURRENCY_UNIT()"): "0x" + word(10**8)},
        }
        for number, reserve in enumerate(reserves):
            asset = padded(reserve.asset)
            answers[pool][selector("getReserveData(address)", asset)] = "0x" + _reserve_data(number, reserve)
            answers[self.oracle][selector("getSourceOfAsset(address)", asset)] = "0x" + padded(reserve.source)
            symbol = "0x" + encode(["string"], [reserve.symbol]).hex()
            decimals = "0x" + word(reserve.decimals)
            answers[reserve.asset] = {selector("symbol()"): symbol, selector("decimals()"): decimals}
            for token in (reserve.a, reserve.v):
                revision = {selector(name): "0x" + word(4) for name in ("ATOKEN_REVISION()", "DEBT_TOKEN_REVISION()")}
                answers[token.address] = {selector("decimals()"): decimals, **revision}
            repayment = selector("handleRepayment(address,address,uint256)", *[word(0)] * 3)
            answers[reserve.a.address][repayment] = "0x" + word(1)
            answers[reserve.source] = {
                selector("aggregator()"): "0x" + padded(reserve.aggregator),
                selector("decimals()"): "0x" + word(8),
            }
        return answers

    def views(self) -> dict[str, dict[str, int]]:
        """Return the columns of the views that change from block to block."""
        tokens = tokens_of(self.market)
        columns = {token.address: {selector("scaledTotalSupply()"): i} for i, token in enumerate(tokens)}
        for i, reserve in enumerate(self.market.reserves):
            columns[reserve.source] = {selector("latestAnswer()"): len(tokens) + i}
        return columns


def _reserve_data(number: int, reserve: Reserve) -> str:
    """Lay out `getReserveData` as it has been since 3.0: the id is the 8th word."""
    words = [word(0)] * 15
    words[1] = words[3] = word(10**27)
    words[7] = word(number)
    words[8:12] = [padded(reserve.a.address), padded(NOWHERE), padded(reserve.v.address), padded(address("strategy"))]
    return "".join(words)


def tokens_of(market: Market) -> list[Token]:
    return [token for reserve in market.reserves for token in (reserve.a, reserve.v)]


def generate(folder: Path, *, seed: int, logs: int, logs_per_block: int, version: str = "3.5") -> None:
    """Write a chain with at least so many logs, a block of about `logs_per_block` every twelve seconds."""
    market = Market(seed, directed=version == "3.5")
    deployment = Deployment(market, seed, REVISIONS[version])
    with Writer(folder, chain_id=CHAIN_ID) as writer:
        rows = [_state(market, prices=False)]
        writer.block([], txs=0)
        for emitted in deployment.blocks():
            _add(writer, [[log] for log in emitted])
            rows.append(_state(market, prices=writer.blocks > 3))
        while writer.logs < logs:
            market.now = time_of(writer.blocks)
            size = int(logs_per_block * market.draw.uniform(0.5, 1.5)) or 1
            transactions: list[list[Emitted]] = []
            while size > 0:
                transactions.append(market.act())
                size -= len(transactions[-1])
            _add(writer, transactions)
            rows.append(_state(market, prices=True))
        for _ in range(TAIL):
            writer.block([], txs=0)
            rows.append(rows[-1])
        np.save(folder / "views.npy", np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1, 32))
        write_book(folder, market)
        facts = {"workload": f"aave-{version}", "seed": seed, "contract": market.pool, "born": deployment.born}
        writer.finish(facts, deployment.calls(), deployment.views())


def _add(writer: Writer, transactions: Sequence[Sequence[Emitted]]) -> None:
    logs = [
        Log(writer.kind(contract, ALL_TOPICS[event]), topics, data, tx)
        for tx, emitted in enumerate(transactions)
        for contract, event, topics, data in emitted
    ]
    writer.block(logs, txs=len(transactions))


def _state(market: Market, *, prices: bool) -> bytes:
    """Return what the changing views answer now, in the order of their columns."""
    supplies = [token.supply for token in tokens_of(market)]
    answers = [reserve.price if prices else 0 for reserve in market.reserves]
    return b"".join(number.to_bytes(32) for number in (*supplies, *answers))


def write_book(folder: Path, market: Market) -> None:
    """Write every scaled balance, and how often each event came."""
    with (folder / "balances.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("account", "token", "side", "amount"))
        for reserve in market.reserves:
            for side, token in (("supply", reserve.a), ("borrow", reserve.v)):
                held = sorted(token.scaled.items())
                rows.writerows((market.people[user], reserve.asset, side, scaled) for user, scaled in held)
    book = {"counts": dict(market.counts), "amounts": {name: str(n) for name, n in market.amounts.items()}}
    (folder / "book.json").write_text(json.dumps(book))
