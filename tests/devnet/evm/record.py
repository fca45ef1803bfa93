"""Recordings of the story's two chains: what a node would answer, without the node.

`python -m tests.devnet.evm.record OUT_DIR` writes `chain-<id>.json.gz` for each chain.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from tests.devnet.evm.abi import calldata, topic
from tests.devnet.evm.chain import CHAIN_ID, SECOND_CHAIN_ID
from tests.devnet.evm.market import Market, Reserve
from tests.devnet.evm.node import Node, Request, eth_call_request, header_request
from tests.devnet.evm.scenario import Story, tell
from tests.devnet.evm.truth import NOBODY_TOPIC, Truth, truth_at

FORMAT = 1
SIDES = ((CHAIN_ID, "north"), (SECOND_CHAIN_ID, "south"))
EXPECTED_AT = ("before_crash_block", "crash_first_block", "crash_block", "after_liquidations_block", "last_block")
RESERVE_INITIALIZED = topic("ReserveInitialized(address,address,address,address,address)")
RESERVE_DROPPED = topic("ReserveDropped(address)")
PRICE_ORACLE_UPDATED = topic("PriceOracleUpdated(address,address)")
ASSET_SOURCE_UPDATED = topic("AssetSourceUpdated(address,address)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A view call, asked at every block or only at those named; an answer holds until the next."""

    to: str
    signature: str
    arguments: tuple[Any, ...] = ()
    blocks: tuple[int, ...] | None = None

    @property
    def calldata(self) -> str:
        """The call as the wire has it."""
        return calldata(self.signature, *self.arguments)


def record(
    node: Node,
    market: Market,
    *,
    label: str,
    events: Mapping[str, int | str],
    expected_at: Iterable[int],
    extra: Sequence[Question] = (),
) -> dict[str, Any]:
    """Everything that an indexer asks a node for, from block 0 to the newest, and what it should find."""
    height = node.height()
    logs = node.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(height)})
    questions = (*usual_questions(node, market, logs), *extra)
    return {
        "format": FORMAT,
        "chain_id": market.chain_id,
        "label": label,
        "blocks": headers(node, height),
        "logs": logs,
        "calls": [answered(node, question, height) for question in questions],
        "code": [code(node, address, height) for address in sorted({q.to for q in questions})],
        "market": asdict(market),
        "events_of_story": dict(events),
        "expected": [expectation(truth_at(node, market, block)) for block in expected_at],
    }


def headers(node: Node, height: int) -> list[dict[str, Any]]:
    """Every block's header as the node gives it, without the list of transactions."""
    blocks = node.batch([header_request(number) for number in range(height + 1)])
    return [{key: value for key, value in block.items() if key != "transactions"} for block in blocks]


def usual_questions(node: Node, market: Market, logs: Sequence[dict[str, Any]]) -> Iterable[Question]:
    """What the protocol and its feeds must be asked because no log tells it."""
    reserves = (*market.reserves, *market.dropped)
    for signature in ("ADDRESSES_PROVIDER()", "POOL_REVISION()", "getReservesList()"):
        yield Question(to=market.pool, signature=signature)
    for signature in ("getPool()", "getPriceOracle()", "getPoolConfigurator()", "getACLManager()"):
        yield Question(to=market.provider, signature=signature)
    for reserve in reserves:
        yield from reserve_questions(node, market, reserve, logs)
    oracles = changed_to(logs, PRICE_ORACLE_UPDATED)
    for oracle in oracles:
        yield from oracle_questions(oracle, reserves)
    for feed in changed_to([log for log in logs if log["address"] in oracles], ASSET_SOURCE_UPDATED):
        yield from feed_questions(node, feed)


def reserve_questions(
    node: Node, market: Market, reserve: Reserve, logs: Sequence[dict[str, Any]]
) -> Iterable[Question]:
    """The reserve's row, asked only where it begins or ends, its tokens' names and their totals."""
    moments = {0, first_block_with_code(node, market.pool, node.height())}
    moments |= {
        int(log["blockNumber"], 16)
        for log in logs
        if log["topics"][0] in {RESERVE_INITIALIZED, RESERVE_DROPPED} and party(log, 1) == reserve.asset
    }
    signature = "getReserveData(address)"
    yield Question(to=market.pool, signature=signature, arguments=(reserve.asset,), blocks=tuple(sorted(moments)))
    for token in (reserve.asset, reserve.a_token, reserve.variable_debt_token, reserve.stable_debt_token):
        yield from (Question(to=token, signature=getter) for getter in ("symbol()", "decimals()", "name()"))
    for token in (reserve.a_token, reserve.variable_debt_token):
        yield Question(to=token, signature="scaledTotalSupply()")
    for signature in ("getReserveNormalizedIncome(address)", "getReserveNormalizedVariableDebt(address)"):
        yield Question(to=market.pool, signature=signature, arguments=(reserve.asset,))
    nobody = "0x" + "00" * 20
    yield Question(to=reserve.a_token, signature="handleRepayment(address,uint256)", arguments=(nobody, 0))
    yield Question(
        to=reserve.a_token, signature="handleRepayment(address,address,uint256)", arguments=(nobody, nobody, 0)
    )


def oracle_questions(oracle: str, reserves: Iterable[Reserve]) -> Iterable[Question]:
    """An oracle's unit and where it reads each asset's price."""
    for signature in ("BASE_CURRENCY_UNIT()", "BASE_CURRENCY()", "getFallbackOracle()"):
        yield Question(to=oracle, signature=signature)
    for reserve in reserves:
        yield Question(to=oracle, signature="getSourceOfAsset(address)", arguments=(reserve.asset,))


def feed_questions(node: Node, proxy: str) -> Iterable[Question]:
    """A feed's proxy at every block, and each aggregator that was ever behind it."""
    described = ("decimals()", "description()", "version()", "latestAnswer()", "latestRoundData()")
    phase = Question(to=proxy, signature="aggregator()")
    yield from (phase, Question(to=proxy, signature="phaseId()"))
    spans = answered(node, phase, node.height())["spans"]
    aggregators = {"0x" + answer[26:] for _, answer in spans if isinstance(answer, str) and len(answer) == 66}
    for contract in (proxy, *sorted(aggregators)):
        yield from (Question(to=contract, signature=signature) for signature in described)


def changed_to(logs: Sequence[dict[str, Any]], event: str) -> list[str]:
    """Every address that such an event named as the new one, in order of appearance."""
    named = [party(log, 2) for log in logs if log["topics"][0] == event and log["topics"][2] != NOBODY_TOPIC]
    return list(dict.fromkeys(named))


def party(log: Mapping[str, Any], place: int) -> str:
    """The address in a log's topic."""
    return "0x" + str(log["topics"][place])[26:]


def answered(node: Node, question: Question, height: int) -> dict[str, Any]:
    """A question with its answers, each from the first block that gave it until the next span's."""
    blocks = question.blocks if question.blocks is not None else range(height + 1)
    replies = node.try_batch([ask(question, block) for block in blocks])
    spans: list[list[Any]] = []
    for block, reply in zip(blocks, replies, strict=True):
        answer = reply["result"] if "result" in reply else {"error": reply["error"]}
        if not spans or spans[-1][1] != answer:
            spans.append([block, answer])
    known = {"to": question.to, "data": question.calldata, "spans": spans}
    return known if question.blocks is None else known | {"asked_only_at": list(question.blocks)}


def ask(question: Question, block: int) -> Request:
    """A question at a block."""
    return eth_call_request(question.to, question.calldata, block)


def code(node: Node, address: str, height: int) -> dict[str, Any]:
    """Since when there is code at an address, and which; the code itself is not recorded."""
    found = bytes.fromhex(node.call("eth_getCode", address, hex(height))[2:])
    return {
        "address": address,
        "first_block": first_block_with_code(node, address, height),
        "size": len(found),
        "code_hash": "0x" + keccak(found).hex(),
    }


def first_block_with_code(node: Node, address: str, height: int) -> int:
    """Where an address became a contract, found by halving."""
    low, high = 0, height
    while low < high:
        middle = (low + high) // 2
        if node.call("eth_getCode", address, hex(middle)) == "0x":
            low = middle + 1
        else:
            high = middle
    return low


def expectation(truth: Truth) -> dict[str, Any]:
    """`getUserAccountData` of every holder at a block, as decimal strings in the contract's order."""
    accounts = {owner: [str(value) for value in asdict(data).values()] for owner, data in truth.accounts.items()}
    return {"block": truth.block, "block_hash": truth.block_hash, "accounts": accounts}


def record_story(story: Story) -> dict[str, Any]:
    """The recording of a told story."""
    return record(
        story.node,
        story.market,
        label=story.label,
        events=story.events,
        expected_at=[int(story.events[name]) for name in EXPECTED_AT],
    )


def write(recording: Mapping[str, Any], folder: Path) -> Path:
    """The recording as a file whose bytes depend on its content alone."""
    path = folder / f"chain-{recording['chain_id']}.json.gz"
    text = json.dumps(recording, separators=(",", ":")).encode()
    with path.open("wb") as sink, gzip.GzipFile("", "wb", 9, sink, mtime=0) as stream:
        stream.write(text)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Record both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path)
    folder: Path = parser.parse_args(arguments).out_dir
    folder.mkdir(parents=True, exist_ok=True)
    for side, (chain_id, label) in enumerate(SIDES):
        with tell(chain_id=chain_id, label=label, side=side) as story:
            path = write(record_story(story), folder)
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
