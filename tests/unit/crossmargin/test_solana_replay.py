"""A replayed Solana node answers as the recorded one did, and refuses as a node does; the shipped recording is sound."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from solana.rpc.async_api import AsyncClient
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction_status import TransactionDetails

from crossmargin.demo.solana_recording import SolanaRecording, of
from crossmargin.demo.solana_replay import SolanaReplayNode
from tests.support.recorded import recorded, recorded_solana

VAULT, OTHER, MINT = "Vau1t", "0ther", "M1nt"
JSON = {"encoding": "json"}
V0 = {"encoding": "json", "maxSupportedTransactionVersion": 0}
BASE64 = {"encoding": "base64"}
SIGNATURES, NONE = {"transactionDetails": "signatures"}, {"transactionDetails": "none"}


def block(slot: int, parent: int, *signatures: str) -> dict[str, Any]:
    return {
        "slot": slot,
        "blockhash": f"hash{slot}",
        "previousBlockhash": f"hash{parent}",
        "parentSlot": parent,
        "blockHeight": slot - 5,
        "blockTime": 1_000 + slot,
        "signatures": list(signatures),
    }


def landed(signature: str, slot: int, *, version: int | str = "legacy", err: object = None) -> dict[str, Any]:
    return {"slot": slot, "transaction": {"signatures": [signature]}, "meta": {"err": err}, "version": version}


def listed(signature: str, slot: int, err: object = None) -> dict[str, Any]:
    return {"signature": signature, "slot": slot, "err": err}


def holding(amount: int) -> dict[str, Any]:
    return {"lamports": amount, "owner": "Token", "data": ["", "base64"]}


RECORDING = of(
    {
        "label": "toy",
        "genesis_hash": "GenesisHashOfThirtyTwoCharactersAndMore",
        "blocks": [
            block(10, 9),
            block(11, 10, "not-ours", "one"),
            block(14, 11, "two", "three"),
            block(20, 14, "four"),
        ],
        "transactions": [
            landed("one", 11),
            landed("two", 14),
            landed("three", 14, version=0),
            landed("four", 20, err="x"),
        ],
        "signatures": {VAULT: [listed("four", 20, "x"), listed("three", 14), listed("two", 14), listed("one", 11)]},
        "accounts": {
            VAULT: [{"slot": 11, "account": holding(1)}, {"slot": 14, "account": None}],
            MINT: [{"slot": 10, "account": holding(7)}],
        },
        "vault": {},
        "feeds": [],
        "events_of_story": {},
        "expected": [],
    }
)


@pytest.fixture
async def node() -> AsyncIterator[SolanaReplayNode]:
    async with SolanaReplayNode(RECORDING, head=14) as node:
        yield node


@pytest.fixture
async def east() -> AsyncIterator[SolanaReplayNode]:
    async with SolanaReplayNode(recorded_solana()) as node:
        yield node


async def test_it_knows_its_chain_and_its_head(node: SolanaReplayNode) -> None:
    assert await result(node, "getGenesisHash") == RECORDING.genesis_hash
    assert RECORDING.chain_id == "solana:GenesisHashOfThirtyTwoCharacters"
    assert await result(node, "getSlot", {"commitment": "finalized"}) == 14
    assert await result(node, "getFirstAvailableBlock") == 10
    assert await result(node, "getHealth") == "ok"


async def test_its_head_can_be_moved_to_slots_that_hold_a_block(node: SolanaReplayNode) -> None:
    node.set_head(20)

    assert await result(node, "getSlot") == 20
    with pytest.raises(ValueError, match="has no block in slot 12"):
        node.set_head(12)


async def test_it_gives_blocks_with_or_without_all_their_signatures(node: SolanaReplayNode) -> None:
    header = {
        "blockhash": "hash11",
        "previousBlockhash": "hash10",
        "parentSlot": 10,
        "blockHeight": 6,
        "blockTime": 1_011,
    }

    assert await result(node, "getBlock", 11, NONE) == header
    assert await result(node, "getBlock", 11, SIGNATURES) == header | {"signatures": ["not-ours", "one"]}


@pytest.mark.parametrize(
    "method, params, slots",
    [
        ("getBlocks", (0, 99), [10, 11, 14]),
        ("getBlocks", (11,), [11, 14]),
        ("getBlocks", (11, {"commitment": "finalized"}), [11, 14]),
        ("getBlocks", (12, 13), []),
        ("getBlocksWithLimit", (11, 1), [11]),
        ("getBlocksWithLimit", (12, 5), [14]),
        ("getBlocksWithLimit", (15, 1), []),
    ],
)
async def test_it_lists_blocks_up_to_its_head(
    node: SolanaReplayNode, method: str, params: tuple[Any, ...], slots: list[int]
) -> None:
    assert await result(node, method, *params) == slots


@pytest.mark.parametrize(
    "head, options, names",
    [
        (14, {}, ["three", "two", "one"]),
        (20, {}, ["four", "three", "two", "one"]),
        (11, {}, ["one"]),
        (20, {"limit": 2}, ["four", "three"]),
        (20, {"before": "three"}, ["two", "one"]),
        (20, {"before": "three", "limit": 1}, ["two"]),
        (20, {"until": "two"}, ["four", "three"]),
        (20, {"before": "four", "until": "one"}, ["three", "two"]),
        (14, {"before": "four"}, []),
        (20, {"before": "one"}, []),
        (20, {"before": None, "until": None, "limit": None, "minContextSlot": None}, ["four", "three", "two", "one"]),
    ],
)
async def test_it_pages_through_signatures_newest_first(
    node: SolanaReplayNode, head: int, options: dict[str, Any], names: list[str]
) -> None:
    node.set_head(head)

    page = await result(node, "getSignaturesForAddress", VAULT, options)

    assert [item["signature"] for item in page] == names


async def test_it_knows_transactions_up_to_its_head(node: SolanaReplayNode) -> None:
    assert (await result(node, "getTransaction", "one", JSON))["slot"] == 11
    assert (await result(node, "getTransaction", "three", V0))["version"] == 0
    assert await result(node, "getTransaction", "four", V0) is None
    statuses = await result(node, "getSignatureStatuses", ["one", "four", "nobody's"])
    assert [status and status["slot"] for status in statuses["value"]] == [11, None, None]


async def test_a_failed_transaction_says_so(node: SolanaReplayNode) -> None:
    node.set_head(20)

    (status,) = (await result(node, "getSignatureStatuses", ["four"]))["value"]

    assert (status["err"], status["status"], status["confirmationStatus"]) == ("x", {"Err": "x"}, "finalized")


@pytest.mark.parametrize("head, amounts", [(10, [None, 7]), (11, [1, 7]), (14, [None, 7]), (20, [None, 7])])
async def test_accounts_are_as_of_its_head(node: SolanaReplayNode, head: int, amounts: list[int | None]) -> None:
    node.set_head(head)

    answer = await result(node, "getMultipleAccounts", [VAULT, MINT], BASE64)

    assert answer["context"]["slot"] == head
    assert [held and held["lamports"] for held in answer["value"]] == amounts


@pytest.mark.parametrize(
    "method, params, code, text",
    [
        ("getBlock", [15, NONE], -32004, "Block not available for slot 15"),
        ("getBlock", [20, NONE], -32004, "Block not available for slot 20"),
        ("getBlock", [12, NONE], -32009, "Slot 12 was skipped"),
        ("getBlock", [11], -32000, "no block with details full"),
        ("getBlock", [11, {"transactionDetails": "accounts"}], -32000, "no block with details accounts"),
        ("getBlock", [], -32602, "invalid params"),
        ("getSignaturesForAddress", [OTHER], -32000, "no signatures of 0ther"),
        ("getSignaturesForAddress", [VAULT, {"limit": 1_001}], -32602, "Invalid limit; max 1000"),
        ("getSignaturesForAddress", [VAULT, {"limit": 0}], -32602, "Invalid limit; max 1000"),
        ("getSignaturesForAddress", [VAULT, {"minContextSlot": 15}], -32016, "Minimum context slot"),
        ("getTransaction", ["three", JSON], -32015, "Transaction version (0) is not supported"),
        ("getTransaction", ["one", {"encoding": "jsonParsed"}], -32000, "as json alone, not as jsonParsed"),
        ("getMultipleAccounts", [[VAULT], BASE64 | {"minContextSlot": 15}], -32016, "Minimum context slot"),
        ("getMultipleAccounts", [[OTHER], BASE64], -32000, "no account 0ther"),
        ("getMultipleAccounts", [[VAULT], {"encoding": "jsonParsed"}], -32000, "as base64 alone, not as jsonParsed"),
        ("getMultipleAccounts", [[VAULT] * 101, BASE64], -32602, "Too many inputs provided; max 100"),
        ("sendTransaction", ["AA=="], -32601, "does not exist"),
    ],
)
async def test_it_refuses_what_a_node_refuses_and_what_nobody_recorded(
    node: SolanaReplayNode, method: str, params: list[Any], code: int, text: str
) -> None:
    refusal = await error(node, method, *params)

    assert refusal["code"] == code
    assert text in refusal["message"]


async def test_it_says_where_it_is_to_who_wants_it_to_be_further(node: SolanaReplayNode) -> None:
    refusal = await error(node, "getMultipleAccounts", [VAULT], BASE64 | {"minContextSlot": 15})

    assert refusal["data"] == {"contextSlot": 14}


async def test_another_client_reads_the_shipped_recording_whole(east: SolanaReplayNode) -> None:
    recording = recorded_solana()
    async with AsyncClient(east.url) as client:
        assert str((await client.get_genesis_hash()).value) == recording.genesis_hash
        assert (await client.get_slot()).value == recording.last
        assert (await client.get_first_available_block()).value == recording.first
        assert (await client.get_blocks(recording.first, recording.last)).value == list(recording.numbers)
        for account, listing in recording.signatures.items():
            found = await paged(client, Pubkey.from_string(account), limit=7)
            assert [str(item) for item in found] == [item["signature"] for item in listing]
        for signature, said in recording.transactions.items():
            answer = (
                await client.get_transaction(Signature.from_string(signature), max_supported_transaction_version=0)
            ).value
            assert answer is not None
            assert (answer.slot, answer.block_time) == (said["slot"], said["blockTime"])


async def test_another_client_reads_blocks_statuses_and_accounts(east: SolanaReplayNode) -> None:
    recording = recorded_solana()
    slot = int(recording.story["margin_call_block"])
    east.set_head(slot)
    async with AsyncClient(east.url) as client:
        details = TransactionDetails.Signatures
        block = (await client.get_block(slot, transaction_details=details, max_supported_transaction_version=0)).value
        assert block is not None
        assert str(block.blockhash) == recording.blocks[slot]["blockhash"]
        assert block.signatures
        (status,) = (await client.get_signature_statuses([block.signatures[-1]])).value
        assert status is not None
        assert status.slot == slot
        held = (
            await client.get_multiple_accounts([Pubkey.from_string(text) for text in recording.vault["accounts"]])
        ).value
        (expected,) = [item for item in recording.expected if item["slot"] == slot]
        amounts = [int.from_bytes(account.data[64:72], "little") for account in held if account is not None]
        assert amounts == [int(expected["accounts"][text]) for text in recording.vault["accounts"]]


def test_the_blocks_of_the_shipped_recording_are_one_chain() -> None:
    blocks = [recorded_solana().blocks[slot] for slot in recorded_solana().numbers]

    for before, after in pairwise(blocks):
        assert (after["parentSlot"], after["previousBlockhash"]) == (before["slot"], before["blockhash"])
        assert (after["blockHeight"], after["blockTime"] >= before["blockTime"]) == (before["blockHeight"] + 1, True)


def test_every_recorded_transaction_is_in_its_block_and_under_every_account_of_the_vault_that_it_names() -> None:
    recording = recorded_solana()
    for signature, said in recording.transactions.items():
        loaded = said["meta"]["loadedAddresses"]
        keys = [*said["transaction"]["message"]["accountKeys"], *loaded["writable"], *loaded["readonly"]]
        named = {account for account in recording.vault["accounts"] if account in keys}

        assert signature in recording.blocks[said["slot"]]["signatures"]
        assert named
        assert {
            a for a, items in recording.signatures.items() if any(i["signature"] == signature for i in items)
        } == named


def test_all_recorded_chains_tell_the_story_at_the_same_moments() -> None:
    north, south = recorded()
    east = recorded_solana()
    events = ("before_crash_block", "crash_first_block", "crash_block", "after_liquidations_block", "last_block")

    for event in events:
        moments = [int(chain.blocks[chain.story[event]]["timestamp"], 16) for chain in (north, south)]
        assert moments == [east.blocks[east.story[event]]["blockTime"]] * 2


def test_what_is_expected_of_the_vault_is_what_its_accounts_hold_and_its_depositors_have() -> None:
    recording = recorded_solana()
    mints = {account: mint_of(recording, account) for account in recording.vault["accounts"]}

    for expected in recording.expected:
        deposited: Counter[str] = Counter()
        for nets in expected["depositors"].values():
            deposited.update({mint: int(net) for mint, net in nets.items()})
        held: Counter[str] = Counter()
        for account, amount in expected["accounts"].items():
            assert int(amount) == int.from_bytes(bytes_of(recording, account, expected["slot"])[64:72], "little")
            held[mints[account]] += int(amount)

        assert recording.blocks[expected["slot"]]["blockhash"] == expected["block_hash"]
        assert deposited == held


def mint_of(recording: SolanaRecording, account: str) -> str:
    return str(Pubkey.from_bytes(bytes_of(recording, account, recording.last)[:32]))


def bytes_of(recording: SolanaRecording, account: str, slot: int) -> bytes:
    state = recording.account(account, slot)
    assert state is not None
    return base64.b64decode(state["data"][0])


async def paged(client: AsyncClient, account: Pubkey, *, limit: int) -> list[Signature]:
    """Every signature of an account, page by page."""
    found: list[Signature] = []
    while page := (
        await client.get_signatures_for_address(account, before=found[-1] if found else None, limit=limit)
    ).value:
        found += [item.signature for item in page]
    return found


async def result(node: SolanaReplayNode, method: str, *params: object) -> Any:
    answer = await post(node, method, params)
    assert "error" not in answer, answer
    return answer["result"]


async def error(node: SolanaReplayNode, method: str, *params: object) -> Any:
    return (await post(node, method, params))["error"]


async def post(node: SolanaReplayNode, method: str, params: tuple[object, ...]) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    async with aiohttp.ClientSession() as session, session.post(node.url, json=body) as answer:
        return await answer.json()
