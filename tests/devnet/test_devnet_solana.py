"""The devnet keeps its own promises: real programs, a chain's memory, a node's manners, the same chain from the same seed."""

from __future__ import annotations

import asyncio
import http.client
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import DataSliceOpts, MemcmpOpts, TokenAccountOpts
from solana.rpc.websocket_api import SolanaWsClient
from solders.errors import SerdeJSONError
from solders.message import Message
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_status import TransactionConfirmationStatus
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID
from websockets.exceptions import ConnectionClosed

from tests.devnet.solana import base58, tokens
from tests.devnet.solana.accounts import mint_of, rent_exempt, token_holding, withheld_fees, withheld_in_mint
from tests.devnet.solana.blocks import Block, Landed
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import (
    Answer,
    BlockNotAvailable,
    ClosedConnection,
    Delay,
    DroppedWebsocket,
    Duplicated,
    Elsewhere,
    HistoryLag,
    HttpError,
    MalformedBody,
    NodeBehind,
    NullTransaction,
    OmittedBlocks,
    RateLimited,
    Reordered,
    SignatureOrder,
    Swallowed,
    TruncatedHistory,
)
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import CLOCK, BelowFinalized, Refused
from tests.devnet.solana.pyth import FEED_IDS, RECEIVER, SIZE, price_account
from tests.devnet.solana.record import dump
from tests.devnet.solana.router import ROUTER
from tests.devnet.solana.scene import Step
from tests.devnet.solana.vault import FEE, JSOL, USDC, WSOL

V0 = {"maxSupportedTransactionVersion": 0}
CONFIRMED, PROCESSED = {"commitment": "confirmed"}, {"commitment": "processed"}


@pytest.fixture(scope="module")
def busy() -> Iterator[Devnet]:
    """A chain of default size with rare actions and prices, all of it finalized; read by many, changed by none."""
    with build(rare=True, price_every=7) as devnet:
        devnet.finalize()
        yield devnet


@pytest.fixture
def quiet() -> Iterator[Devnet]:
    """A vault with two people and no history, to be changed by one test."""
    with build(users=2, actions=0, skips=False) as devnet:
        yield devnet


@pytest.fixture
async def client(quiet: Devnet) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(quiet.url, timeout=10) as asked:
        yield asked


class Answered(Exception):
    """An answer without a result."""

    def __init__(self, status: int, headers: dict[str, str], error: dict[str, Any]) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.headers = headers
        self.code = error.get("code")
        self.message = str(error.get("message"))
        self.extra = error.get("data")


def post(url: str, body: Any) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a POST."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        text = body if isinstance(body, str) else json.dumps(body)
        connection.request("POST", "/", text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def ask(url: str, method: str, *params: Any) -> Any:
    """The result of a request. Raises Answered."""
    status, headers, text = post(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    if status != 200:
        raise Answered(status, headers, {})
    answer = json.loads(text)
    if "error" in answer:
        raise Answered(status, headers, answer["error"])
    return answer["result"]


def landed_of(devnet: Devnet) -> list[Landed]:
    """Every transaction of a chain, oldest first."""
    return [landed for block in devnet.ledger.blocks for landed in block.transactions]


def balances_at(devnet: Devnet, slot: int) -> dict[str, int]:
    """What the token programs say that the vault holds, by mint."""
    held = {token.address: 0 for token in devnet.mints.values()}
    for account in devnet.vault.all_accounts:
        holding = token_holding(devnet.ledger.account_at(account, slot))
        if holding is not None:
            held[str(holding.mint)] += holding.amount
    return held


def deposit_step(devnet: Devnet, amount: int, *, user: int = 0, symbol: str = USDC) -> Step:
    """A plain deposit."""
    person, token = devnet.users[user], devnet.mints[symbol]
    send = tokens.transfer_checked(
        token.program,
        person.accounts[symbol],
        token.mint,
        devnet.vault.accounts[symbol][0],
        person.owner,
        amount=amount,
        decimals=token.decimals,
    )
    return Step(instructions=[send], payer=person.key)


def deposit(devnet: Devnet, amount: int) -> Block:
    """A block with one plain deposit of USDC."""
    return devnet.ledger.mine(devnet.scene.signed(deposit_step(devnet, amount)))


def vault_usdc(devnet: Devnet) -> Pubkey:
    """The account that those deposits reach."""
    return devnet.vault.accounts[USDC][0]


# The same chain


def test_one_seed_makes_one_chain_to_the_byte() -> None:
    first, second = (fingerprint(seed=5) for _ in range(2))

    assert first == second


def test_another_seed_makes_another_chain_with_another_name() -> None:
    with build(seed=5, users=2, actions=5) as five, build(seed=6, users=2, actions=5) as six:
        assert five.chain_id != six.chain_id
        assert {user.address for user in five.users}.isdisjoint(user.address for user in six.users)
        assert ask(five.url, "getGenesisHash") != ask(six.url, "getGenesisHash")


def test_a_chain_is_named_by_the_start_of_its_genesis_hash(quiet: Devnet) -> None:
    assert quiet.chain_id == f"solana:{ask(quiet.url, 'getGenesisHash')[:32]}"
    assert len(quiet.chain_id) == len("solana:") + 32


@pytest.mark.parametrize("first_slot", [0, 1_000, 401_000_000])
def test_a_chain_begins_at_any_slot(first_slot: int) -> None:
    with build(users=2, actions=3, first_slot=first_slot) as devnet:
        assert ask(devnet.url, "getFirstAvailableBlock") == first_slot
        assert ask(devnet.url, "getBlocks", first_slot, first_slot)[0] == first_slot


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kinds"), build(actions=0, without=frozenset({"nap"})):
        pass


def test_kinds_can_be_left_out_and_wrapped_sol_too() -> None:
    with build(users=4, actions=80, wrapped_sol=False, without=frozenset({"deposit_in_batch"})) as devnet:
        assert "deposit_in_batch" not in devnet.tally.succeeded
        assert list(devnet.mints) == [USDC, JSOL, FEE]


# The population


def test_every_kind_of_action_happens_with_the_default_seed(busy: Devnet) -> None:
    assert busy.tally.succeeded.keys() | busy.tally.failed.keys() == busy.population.plans.keys()
    assert {kind for kind in busy.tally.failed if not kind.startswith("fail")} == set()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_vault_holds_what_the_book_says_at_every_block(seed: int) -> None:
    with build(seed=seed, users=12, actions=150, rare=seed == 4) as devnet:
        for block in devnet.ledger.blocks:
            expected = devnet.expected_at(block.slot)

            assert balances_at(devnet, block.slot) == {
                token.address: expected.total(token.address) for token in devnet.mints.values()
            }


def test_nobody_is_paid_more_than_they_have_unless_asked_for(busy: Devnet) -> None:
    with build(users=12, actions=300) as honest:
        nets = honest.expected_at(honest.ledger.tip.slot).nets

    assert min(nets.values()) > 0
    assert min(busy.expected_at(busy.ledger.tip.slot).nets.values()) < 0


def test_the_supply_of_a_mint_is_what_its_accounts_hold_and_withhold(busy: Devnet) -> None:
    for block in busy.ledger.blocks[10::25]:
        for symbol in (USDC, JSOL, FEE):
            token = busy.mints[symbol]
            mint = busy.ledger.account_at(token.mint, block.slot)
            images = [image for _, image in busy.ledger.owned_at(token.program, block.slot)]
            held = [
                holding.amount for image in images if (holding := token_holding(image)) and holding.mint == token.mint
            ]
            withheld = sum(map(withheld_fees, images)) + withheld_in_mint(mint) if symbol == FEE else 0
            known = mint_of(mint)

            assert known is not None
            assert known.supply == sum(held) + withheld


def test_wrapped_sol_is_backed_by_lamports(busy: Devnet) -> None:
    (account,) = busy.vault.accounts[WSOL]
    image = busy.ledger.read(account)
    holding = token_holding(image)

    assert holding is not None
    assert image is not None
    assert holding.amount > 0
    assert image.lamports == holding.amount + rent_exempt(165)


def test_a_failed_transaction_is_there_with_its_error_and_moved_nothing(busy: Devnet) -> None:
    failed = [landed for landed in landed_of(busy) if landed.error is not None]

    assert len(failed) >= 10
    for landed in failed:
        answer = ask(busy.url, "getTransaction", landed.signature, V0)
        assert answer["meta"]["err"] == {
            "InstructionError": [len(answer["transaction"]["message"]["instructions"]) - 1, {"Custom": code_of(landed)}]
        }
        assert answer["meta"]["status"] == {"Err": answer["meta"]["err"]}
        assert answer["meta"]["preTokenBalances"] == answer["meta"]["postTokenBalances"] != []
        assert answer["meta"]["preBalances"][0] - answer["meta"]["postBalances"][0] == answer["meta"]["fee"] > 0


def code_of(landed: Landed) -> int:
    """The program's own number in an error: short of funds, or not the owner."""
    _, inner = landed.error["InstructionError"]
    assert inner["Custom"] in {1, 4}
    return int(inner["Custom"])


def test_inner_deposits_of_a_failed_transaction_stay_in_its_record(busy: Devnet) -> None:
    recorded = [landed for landed in landed_of(busy) if landed.error is not None and any(landed.inner)]

    assert recorded
    assert all(landed.before.tokens == landed.after.tokens for landed in recorded)


def test_deposits_come_by_inner_instructions_two_and_three_deep(busy: Devnet) -> None:
    routed = [landed for landed in landed_of(busy) if ROUTER in landed.keys and landed.error is None]
    answers = [ask(busy.url, "getTransaction", landed.signature, V0) for landed in routed]
    heights = {
        inner["stackHeight"]
        for answer in answers
        for group in answer["meta"]["innerInstructions"]
        for inner in group["instructions"]
    }

    assert heights == {2, 3}
    assert all(answer["transaction"]["message"]["instructions"][0]["stackHeight"] == 1 for answer in answers)


def test_a_passing_account_is_in_no_balance_of_its_transaction(busy: Devnet) -> None:
    created_and_closed = [
        landed
        for landed in landed_of(busy)
        if landed.error is None
        for place, (before, after) in enumerate(zip(landed.before.lamports, landed.after.lamports, strict=True))
        if before == after == 0 and is_named_by_token_instruction(landed, place)
    ]

    assert created_and_closed


def is_named_by_token_instruction(landed: Landed, place: int) -> bool:
    return any(
        place in instruction.accounts and landed.keys[instruction.program_id_index] == TOKEN_PROGRAM_ID
        for instruction in landed.transaction.message.instructions
    )


def test_an_account_changes_hands_within_a_transaction(busy: Devnet) -> None:
    def owners(landed: Landed) -> list[tuple[Pubkey, Pubkey]]:
        after = {balance.index: balance for balance in landed.after.tokens}
        return [(b.owner, after[b.index].owner) for b in landed.before.tokens if b.index in after]

    changed = [landed for landed in landed_of(busy) if any(before != after for before, after in owners(landed))]

    assert any(len(landed.transaction.message.instructions) >= 3 for landed in changed)


def test_transactions_are_legacy_or_v0_and_some_read_lookup_tables(busy: Devnet) -> None:
    versions = [landed.version for landed in landed_of(busy)]
    looked_up = [landed for landed in landed_of(busy) if landed.loaded_writable]
    accounts = set(busy.vault.all_accounts)
    people = {account for user in busy.users for account in user.accounts.values()}

    assert {"legacy", 0} == set(versions)
    assert any(accounts & set(landed.loaded_writable) for landed in looked_up)
    assert any(people & set(landed.loaded_writable) for landed in looked_up)
    assert any(landed.loaded_readonly for landed in looked_up)


def test_prices_move_in_full_and_partial_updates(busy: Devnet) -> None:
    sol, btc = (busy.ledger.versions(price_account(symbol)) for symbol in ("SOL/USD", "BTC/USD"))
    (slot, full), (_, partial) = sol[-1], btc[-1]

    assert len(sol) == len(btc) > 20
    assert full is not None
    assert partial is not None
    assert full.owner == partial.owner == RECEIVER
    assert len(full.data) == len(partial.data) == SIZE
    assert (full.data[:8].hex(), full.data[40]) == ("22f123639d7ef4cd", 1)
    assert (partial.data[40], partial.data[41]) == (0, 5)
    assert full.data[41:73] == FEED_IDS["SOL/USD"]
    assert partial.data[42:74] == FEED_IDS["BTC/USD"]
    assert 50 < int.from_bytes(full.data[73:81], "little") / 10**8 < 500
    assert int.from_bytes(full.data[125:133], "little") == slot


# Blocks and slots


def test_blocks_are_a_chain_of_hashes_heights_and_parents(busy: Devnet) -> None:
    for parent, block in pairwise(busy.ledger.blocks[:-1]):
        answer = ask(busy.url, "getBlock", block.slot, {"transactionDetails": "none", "rewards": False, **CONFIRMED})

        assert answer == {
            "blockhash": str(block.hash),
            "previousBlockhash": str(parent.hash),
            "parentSlot": parent.slot,
            "blockHeight": parent.height + 1,
            "blockTime": 1_738_726_400 + (block.slot - 401_000_000) * 400 // 1_000,
        }


def test_blocks_hold_none_one_or_several_transactions_and_some_slots_hold_no_block(busy: Devnet) -> None:
    slots = [block.slot for block in busy.ledger.blocks]

    assert {0, 1, 2} < {len(block.transactions) for block in busy.ledger.blocks}
    assert slots[-1] - slots[0] > len(slots)
    assert ask(busy.url, "getBlocks", slots[0]) == [slot for slot in slots if slot <= slots[-1] - 32]
    assert ask(busy.url, "getBlocks", slots[0], CONFIRMED) == slots[:-1]
    assert ask(busy.url, "getBlocks", slots[3], slots[9], CONFIRMED) == slots[3:10]
    assert ask(busy.url, "getBlocks", slots[9], slots[3]) == []
    assert ask(busy.url, "getBlocksWithLimit", slots[3], 4) == slots[3:7]


def test_a_block_tells_as_much_of_its_transactions_as_is_asked(busy: Devnet) -> None:
    block = next(block for block in busy.ledger.blocks if len(block.transactions) > 2)
    names = [landed.signature for landed in block.transactions]
    full = ask(busy.url, "getBlock", block.slot, V0)
    some = ask(busy.url, "getBlock", block.slot, {"transactionDetails": "signatures"})
    accounts = ask(busy.url, "getBlock", block.slot, {"transactionDetails": "accounts", **V0})

    assert [each["transaction"]["signatures"][0] for each in full["transactions"]] == names == some["signatures"]
    assert [each["transaction"]["signatures"][0] for each in accounts["transactions"]] == names
    assert "transactions" not in some
    assert (full["rewards"], some["rewards"]) == ([], [])
    for each in full["transactions"]:
        alone = ask(busy.url, "getTransaction", each["transaction"]["signatures"][0], V0)
        assert {"slot": block.slot, "blockTime": block.time, **each} == alone


@pytest.mark.parametrize("kept, code", [(True, -32_009), (False, -32_007)])
def test_a_skipped_slot_is_an_error_once_it_is_finalized(quiet: Devnet, *, kept: bool, code: int) -> None:
    skipped = quiet.ledger.open_slot
    quiet.ledger.mine(skipped=1)
    with quiet.serve(long_term_storage=kept) as node:
        with pytest.raises(Answered) as early:
            ask(node.url, "getBlock", skipped, CONFIRMED)
        quiet.finalize()
        errors = []
        for method in ("getBlock", "getBlockTime"):
            with pytest.raises(Answered) as late:
                ask(node.url, method, skipped)
            errors.append(late.value.code)

    assert early.value.code == -32_004
    assert errors == [code, code]


async def test_a_skipped_slot_is_a_typed_error_for_the_library(quiet: Devnet, client: AsyncClient) -> None:
    skipped = quiet.ledger.open_slot
    quiet.ledger.mine(skipped=1)
    quiet.finalize()

    with pytest.raises(RPCException, match="LongTermStorageSlotSkipped"):
        await client.get_block(skipped)


def test_a_block_above_what_is_settled_is_not_available(quiet: Devnet) -> None:
    tip = quiet.ledger.tip.slot
    for slot, options in ((tip, CONFIRMED), (tip + 1, CONFIRMED), (tip - 1, {}), (tip + 10**6, {})):
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getBlock", slot, options)
        assert (caught.value.code, caught.value.message) == (-32_004, f"Block not available for slot {slot}")
    assert ask(quiet.url, "getBlock", tip - 1, CONFIRMED)["blockHeight"] == quiet.ledger.tip.height - 1


@pytest.mark.parametrize("method", ["getBlock", "getTransaction", "getSignaturesForAddress", "getBlocks"])
def test_history_is_not_told_at_processed(quiet: Devnet, method: str) -> None:
    landed = deposit(quiet, 1).transactions[0]
    first = {
        "getBlock": landed.slot,
        "getTransaction": landed.signature,
        "getSignaturesForAddress": str(vault_usdc(quiet)),
        "getBlocks": landed.slot,
    }[method]

    with pytest.raises(Answered, match="below `confirmed`") as caught:
        ask(quiet.url, method, first, PROCESSED)

    assert caught.value.code == -32_602


def test_slots_and_heights_by_commitment(quiet: Devnet) -> None:
    quiet.ledger.idle(40)
    quiet.ledger.mine(skipped=5)
    tip = quiet.ledger.tip
    asked = {
        level: ask(quiet.url, "getSlot", {"commitment": level}) for level in ("processed", "confirmed", "finalized")
    }

    assert asked == {"processed": tip.slot, "confirmed": tip.slot - 6, "finalized": tip.slot - 32}
    assert ask(quiet.url, "getSlot") == asked["finalized"]
    assert ask(quiet.url, "getBlockHeight", PROCESSED) == tip.height
    assert ask(quiet.url, "getBlockHeight") == tip.height - 27
    epoch = ask(quiet.url, "getEpochInfo", PROCESSED)
    assert epoch["epoch"] * 432_000 + epoch["slotIndex"] == epoch["absoluteSlot"] == tip.slot
    assert ask(quiet.url, "getEpochSchedule")["slotsPerEpoch"] == 432_000


def test_programs_see_the_clock_of_their_slot(quiet: Devnet) -> None:
    block = quiet.ledger.mine(skipped=3)
    image = quiet.ledger.account_at(CLOCK, block.slot)

    assert image is not None
    assert int.from_bytes(image.data[:8], "little") == block.slot
    assert int.from_bytes(image.data[32:40], "little") == block.time


# Transactions and their index


async def test_every_transaction_is_readable_by_the_library_in_every_encoding(busy: Devnet) -> None:
    async with AsyncClient(busy.url) as client:
        for landed in landed_of(busy):
            signature = Signature.from_string(landed.signature)
            for encoding in ("json", "jsonParsed", "base64"):
                found = (await client.get_transaction(signature, encoding, max_supported_transaction_version=0)).value

                assert found is not None
                assert (found.slot, found.block_time) == (landed.slot, landed.time)
                assert encoding != "base64" or found.transaction.transaction == landed.transaction


async def test_every_block_is_readable_by_the_library(busy: Devnet) -> None:
    async with AsyncClient(busy.url) as client:
        for block in busy.ledger.blocks[:-32:9]:
            answer = await client.get_block(block.slot, "base64", max_supported_transaction_version=0)

            assert answer.value is not None
            assert answer.value.blockhash == block.hash
            assert [each.transaction for each in answer.value.transactions or ()] == [
                landed.transaction for landed in block.transactions
            ]


def test_binary_forms_say_the_same(busy: Devnet) -> None:
    landed = landed_of(busy)[-1]
    text, encoding = ask(busy.url, "getTransaction", landed.signature, {"encoding": "base58", **V0})["transaction"]

    assert encoding == "base58"
    assert VersionedTransaction.from_bytes(base58.decode(text)) == landed.transaction


def test_keys_are_static_then_loaded_writable_then_loaded_readonly(busy: Devnet) -> None:
    landed = next(each for each in landed_of(busy) if each.loaded_writable and each.loaded_readonly)
    answer = ask(busy.url, "getTransaction", landed.signature, V0)
    parsed = ask(busy.url, "getTransaction", landed.signature, {"encoding": "jsonParsed", **V0})
    message, meta = answer["transaction"]["message"], answer["meta"]
    keys = [*message["accountKeys"], *meta["loadedAddresses"]["writable"], *meta["loadedAddresses"]["readonly"]]
    tables = {str(table.key): [str(address) for address in table.addresses] for table in busy.scene.tables}
    looked_up = message["addressTableLookups"]

    assert (
        keys
        == [str(key) for key in landed.keys]
        == [key["pubkey"] for key in parsed["transaction"]["message"]["accountKeys"]]
    )
    assert len(meta["preBalances"]) == len(meta["postBalances"]) == len(keys) > len(message["accountKeys"])
    assert meta["loadedAddresses"]["writable"] == [
        tables[each["accountKey"]][index] for each in looked_up for index in each["writableIndexes"]
    ]
    assert {key["source"] for key in parsed["transaction"]["message"]["accountKeys"]} == {"transaction", "lookupTable"}
    assert answer["version"] == 0


def test_token_balances_are_those_of_the_accounts_before_and_after(busy: Devnet) -> None:
    block = next(block for block in busy.ledger.blocks[20:] if len(block.transactions) == 1)
    (landed,) = block.transactions
    for moment, slot in ((landed.before, block.parent_slot), (landed.after, block.slot)):
        for balance in moment.tokens:
            held = token_holding(busy.ledger.account_at(landed.keys[balance.index], slot))

            assert held is not None
            assert (held.mint, held.owner, held.amount, held.program) == (
                balance.mint,
                balance.owner,
                balance.amount,
                balance.program,
            )


def test_balances_of_both_token_programs_are_told_and_nothing_is_null(quiet: Devnet) -> None:
    fee = quiet.mints[FEE]
    quiet.ledger.mine(quiet.scene.signed(deposit_step(quiet, 2_000_001, symbol=FEE)))
    quiet.finalize()
    (line,) = ask(quiet.url, "getSignaturesForAddress", str(quiet.vault.accounts[FEE][0]), {"limit": 1})
    answer = ask(quiet.url, "getTransaction", line["signature"], V0)
    place = answer["transaction"]["message"]["accountKeys"].index(str(quiet.vault.accounts[FEE][0]))
    before = next(each for each in answer["meta"]["preTokenBalances"] if each["accountIndex"] == place)
    after = next(each for each in answer["meta"]["postTokenBalances"] if each["accountIndex"] == place)

    assert before["uiTokenAmount"] == {"amount": "0", "decimals": 6, "uiAmount": None, "uiAmountString": "0"}
    # 1 % of 2,000,001 is 20,000.01, rounded up
    assert after == {
        "accountIndex": place,
        "mint": fee.address,
        "owner": str(quiet.vault.authority),
        "programId": str(TOKEN_2022_PROGRAM_ID),
        "uiTokenAmount": {"amount": "1980000", "decimals": 6, "uiAmount": 1.98, "uiAmountString": "1.98"},
    }


def test_a_new_version_needs_a_client_that_knows_it(busy: Devnet) -> None:
    legacy, v0 = (next(each for each in landed_of(busy) if each.version == version) for version in ("legacy", 0))
    with pytest.raises(Answered) as caught:
        ask(busy.url, "getTransaction", v0.signature)

    assert caught.value.code == -32_015
    assert "version" not in ask(busy.url, "getTransaction", legacy.signature)
    assert ask(busy.url, "getTransaction", legacy.signature, V0)["version"] == "legacy"


def test_an_address_has_its_transactions_newest_first_with_those_that_loaded_it(busy: Devnet) -> None:
    for address in (*busy.vault.all_accounts, busy.vault.authority, busy.mints[USDC].mint):
        named = [landed for landed in landed_of(busy) if address in landed.keys]
        listed = ask(busy.url, "getSignaturesForAddress", str(address))

        assert [line["signature"] for line in listed] == [landed.signature for landed in reversed(named)]
        assert [line["slot"] for line in listed] == [landed.slot for landed in reversed(named)]
        assert [line["err"] for line in listed] == [landed.error for landed in reversed(named)]
        assert {line["confirmationStatus"] for line in listed} == {"finalized"}
    assert any(vault_usdc(busy) in landed.loaded_writable for landed in landed_of(busy))


def test_pages_of_signatures_leave_nothing_out(busy: Devnet) -> None:
    address = str(vault_usdc(busy))
    everything = [line["signature"] for line in ask(busy.url, "getSignaturesForAddress", address)]
    paged: list[str] = []
    while page := ask(
        busy.url, "getSignaturesForAddress", address, {"limit": 7, **({"before": paged[-1]} if paged else {})}
    ):
        assert len(page) <= 7
        paged += [line["signature"] for line in page]

    assert paged == everything
    until = ask(busy.url, "getSignaturesForAddress", address, {"until": everything[5]})
    between = ask(busy.url, "getSignaturesForAddress", address, {"before": everything[2], "until": everything[6]})
    assert [line["signature"] for line in until] == everything[:5]
    assert [line["signature"] for line in between] == everything[3:6]


def test_an_unknown_before_gives_nothing_and_an_unknown_until_is_no_bound(busy: Devnet) -> None:
    address, unknown = str(vault_usdc(busy)), str(Signature.default())
    everything = ask(busy.url, "getSignaturesForAddress", address)

    assert ask(busy.url, "getSignaturesForAddress", address, {"before": unknown}) == []
    assert ask(busy.url, "getSignaturesForAddress", address, {"until": unknown}) == everything


def test_a_memo_is_listed_with_its_length(busy: Devnet) -> None:
    listed = ask(busy.url, "getSignaturesForAddress", str(tokens.MEMO_PROGRAM))

    assert listed
    for line in listed:
        length, text = line["memo"].removeprefix("[").split("] ")
        assert int(length) == len(text.encode()) > len(text)


def test_a_status_grows_with_the_chain(quiet: Devnet) -> None:
    (landed,) = deposit(quiet, 1).transactions
    seen, answer = [], {}
    for _ in range(3):
        answer = ask(quiet.url, "getSignatureStatuses", [landed.signature, str(Signature.default())])
        seen.append((answer["value"][0]["confirmationStatus"], answer["value"][0]["confirmations"]))
        quiet.ledger.idle(1 if len(seen) == 1 else 31)

    assert seen == [("processed", 0), ("confirmed", 1), ("finalized", None)]
    assert answer["value"][1] is None


async def test_a_transaction_can_be_sent_and_followed(quiet: Devnet, client: AsyncClient) -> None:
    user = quiet.users[0]
    latest = (await client.get_latest_blockhash(Processed)).value
    message = Message.new_with_blockhash(deposit_step(quiet, 77).instructions, user.owner, latest.blockhash)
    sent = (await client.send_raw_transaction(bytes(VersionedTransaction(message, [user.key])))).value

    quiet.finalize()
    status = (await client.get_signature_statuses([sent])).value[0]

    assert status is not None
    assert status.confirmation_status == TransactionConfirmationStatus.Finalized
    assert balances_at(quiet, quiet.ledger.tip.slot)[quiet.mints[USDC].address] == 77


async def test_what_no_block_could_hold_is_refused(quiet: Devnet, client: AsyncClient) -> None:
    block = deposit(quiet, 1)
    (landed,) = block.transactions
    stale = quiet.scene.signed(deposit_step(quiet, 2))
    quiet.ledger.idle(151)

    with pytest.raises(Refused, match="AlreadyProcessed"):
        quiet.ledger.execute(landed.transaction)
    with pytest.raises(Refused, match="BlockhashNotFound"):
        quiet.ledger.execute(stale)
    with pytest.raises(RPCException, match="BlockhashNotFound"):
        await client.send_raw_transaction(bytes(stale))


# Accounts


def test_each_commitment_shows_its_own_state(quiet: Devnet) -> None:
    account = str(vault_usdc(quiet))
    first = deposit(quiet, 100)
    quiet.ledger.idle(40)
    second = deposit(quiet, 20)
    third = deposit(quiet, 3)

    shown = {}
    for level in ("processed", "confirmed", "finalized"):
        answer = ask(quiet.url, "getTokenAccountBalance", account, {"commitment": level})
        shown[level] = (answer["context"]["slot"], answer["value"]["amount"])

    assert shown == {
        "processed": (third.slot, "123"),
        "confirmed": (second.slot, "120"),
        "finalized": (third.slot - 32, "100"),
    }
    assert [amount_at(quiet, block.slot) for block in (first, second, third)] == [100, 120, 123]
    assert amount_at(quiet, first.slot - 1) == 0


def amount_at(devnet: Devnet, slot: int) -> int:
    held = token_holding(devnet.ledger.account_at(vault_usdc(devnet), slot))
    assert held is not None
    return held.amount


def test_every_account_method_answers_of_the_same_block(quiet: Devnet) -> None:
    deposit(quiet, 100)
    account, mint, owner = str(vault_usdc(quiet)), quiet.mints[USDC].address, str(quiet.vault.authority)
    options = {"encoding": "base64", "commitment": "confirmed"}
    at_confirmed = [
        ask(quiet.url, "getAccountInfo", account, options),
        ask(quiet.url, "getMultipleAccounts", [account], options),
        ask(quiet.url, "getTokenAccountBalance", account, CONFIRMED),
        ask(quiet.url, "getTokenSupply", mint, CONFIRMED),
        ask(quiet.url, "getTokenAccountsByOwner", owner, {"mint": mint}, options),
        ask(quiet.url, "getProgramAccounts", str(TOKEN_PROGRAM_ID), {**options, "withContext": True}),
        ask(quiet.url, "getBalance", owner, CONFIRMED),
    ]

    assert {answer["context"]["slot"] for answer in at_confirmed} == {quiet.ledger.tip.slot - 1}
    assert at_confirmed[0]["value"] == at_confirmed[1]["value"][0]
    assert at_confirmed[2]["value"]["amount"] == "0"


async def test_accounts_are_readable_by_the_library(busy: Devnet) -> None:
    account, mint = vault_usdc(busy), busy.mints[USDC].mint
    async with AsyncClient(busy.url) as client:
        info = (await client.get_account_info(account)).value
        several = (await client.get_multiple_accounts([account, busy.users[0].accounts[USDC], RECEIVER])).value
        owned = (await client.get_token_accounts_by_owner(busy.vault.authority, TokenAccountOpts(mint=mint))).value
        supply = (await client.get_token_supply(mint)).value
        balance = (await client.get_token_account_balance(account)).value
        rent = (await client.get_minimum_balance_for_rent_exemption(165)).value

    image = busy.ledger.read(account)
    assert image is not None
    assert info is not None
    assert (info.data, info.lamports, info.owner) == (image.data, image.lamports, image.owner)
    assert (several[0], several[1] is None, several[2]) == (info, False, None)
    assert {keyed.pubkey for keyed in owned} == set(busy.vault.accounts[USDC])
    assert int(supply.amount) > int(balance.amount) > 0
    assert rent == rent_exempt(165) == 2_039_280


async def test_program_accounts_are_found_by_size_bytes_and_part(busy: Devnet) -> None:
    of_vault = MemcmpOpts(offset=32, bytes=str(busy.vault.authority))
    start = DataSliceOpts(offset=0, length=8)
    async with AsyncClient(busy.url) as client:
        plain = (
            await client.get_program_accounts(TOKEN_PROGRAM_ID, Finalized, "base64", filters=[165, of_vault])
        ).value
        extended = (
            await client.get_program_accounts(TOKEN_2022_PROGRAM_ID, Finalized, "base64", filters=[of_vault])
        ).value
        missed = (await client.get_program_accounts(TOKEN_2022_PROGRAM_ID, Finalized, "base64", filters=[165])).value
        sliced = (await client.get_program_accounts(RECEIVER, Finalized, "base64", data_slice=start)).value
        with pytest.raises(RPCException, match="base 58"):
            await client.get_program_accounts(TOKEN_PROGRAM_ID)

    assert {keyed.pubkey for keyed in plain} == {
        account for symbol in (USDC, JSOL, WSOL) for account in busy.vault.accounts[symbol]
    }
    assert [keyed.pubkey for keyed in extended] == list(busy.vault.accounts[FEE])
    assert len(extended[0].account.data) > 170
    assert missed == []
    assert {keyed.account.data.hex() for keyed in sliced} == {"22f123639d7ef4cd"}


def test_a_memcmp_may_be_written_in_base58_base64_or_numbers(busy: Devnet) -> None:
    wanted = bytes(busy.vault.authority)
    forms: list[dict[str, Any]] = [
        {"bytes": base58.encode(wanted)},
        {"bytes": base58.encode(wanted), "encoding": "base58"},
        {"bytes": b64encode(wanted).decode(), "encoding": "base64"},
        {"bytes": list(wanted)},
    ]
    found = [
        ask(
            busy.url,
            "getProgramAccounts",
            str(TOKEN_PROGRAM_ID),
            {"encoding": "base64", "filters": [{"memcmp": {"offset": 32, **form}}]},
        )
        for form in forms
    ]

    assert len(found[0]) == 4
    assert all(each == found[0] for each in found)


def test_an_account_is_put_in_place_replaced_and_closed_by_blocks(quiet: Devnet) -> None:
    key, owner = Pubkey.from_bytes(bytes([7]) * 32), RECEIVER
    slots = []
    for content in (b"first", b"second", None):
        if content is None:
            quiet.ledger.close(key)
        else:
            quiet.ledger.set_account(key, owner=owner, data=content)
        slots.append(quiet.ledger.seal().slot)
    states = [quiet.ledger.account_at(key, slot) for slot in (slots[0] - 1, *slots)]

    assert [state.data if state else None for state in states] == [None, b"first", b"second", None]
    assert ask(quiet.url, "getAccountInfo", str(key), {"encoding": "base64", **PROCESSED})["value"] is None
    assert ask(quiet.url, "getAccountInfo", str(key), {"encoding": "base58", **CONFIRMED})["value"]["data"][
        0
    ] == base58.encode(b"second")


def test_a_large_account_needs_base64(busy: Devnet) -> None:
    with pytest.raises(Answered, match="base 58"):
        ask(busy.url, "getAccountInfo", str(vault_usdc(busy)))


# Forks


def test_a_lost_fork_takes_its_transactions_and_balances_with_it(quiet: Devnet) -> None:
    deposit(quiet, 100)
    before = dump(quiet.ledger)
    quiet.population.do("deposit", "open_second", "deposit_through_passing_account", "withdraw")
    quiet.population.act(10)
    blocks = len(quiet.ledger.blocks) - len(before["blocks"])
    quiet.rollback(blocks)

    assert dump(quiet.ledger) == before
    assert amount_at(quiet, quiet.ledger.tip.slot) == 100


@pytest.mark.parametrize("reuse", [True, False])
def test_the_slots_of_a_lost_fork_get_other_blocks_or_none(quiet: Devnet, *, reuse: bool) -> None:
    lost = [deposit(quiet, 10), deposit(quiet, 20)]
    quiet.rollback(2, reuse_slots=reuse)
    new = [deposit(quiet, 30), quiet.ledger.mine()]
    quiet.finalize()

    listed = ask(quiet.url, "getBlocks", lost[0].slot, new[1].slot)
    gone = [ask(quiet.url, "getTransaction", block.transactions[0].signature, V0) for block in lost]
    first = lost[0].slot if reuse else lost[1].slot + 1
    assert listed == [first, first + 1]
    assert gone == [None, None]
    assert {block.hash for block in lost}.isdisjoint(block.hash for block in new)
    assert new[0].parent_slot == lost[0].parent_slot
    assert amount_at(quiet, quiet.ledger.tip.slot) == 30


def test_a_lost_transaction_may_land_again_on_the_other_fork(quiet: Devnet) -> None:
    (landed,) = deposit(quiet, 10).transactions
    address = str(vault_usdc(quiet))
    quiet.rollback(1)
    assert ask(quiet.url, "getSignatureStatuses", [landed.signature])["value"] == [None]
    quiet.ledger.mine()
    again = quiet.ledger.mine(landed.transaction)
    quiet.finalize()

    assert again.slot > landed.slot
    assert ask(quiet.url, "getTransaction", landed.signature, V0)["slot"] == again.slot
    assert [line["slot"] for line in ask(quiet.url, "getSignaturesForAddress", address, {"limit": 1})] == [again.slot]


def test_what_was_confirmed_can_vanish(quiet: Devnet) -> None:
    (landed,) = deposit(quiet, 10).transactions
    quiet.ledger.mine()
    seen = ask(quiet.url, "getTransaction", landed.signature, {**V0, **CONFIRMED})
    quiet.rollback(2)
    quiet.ledger.idle(3)

    assert seen["meta"]["err"] is None
    assert ask(quiet.url, "getTransaction", landed.signature, {**V0, **CONFIRMED}) is None
    assert (
        ask(quiet.url, "getSignaturesForAddress", str(vault_usdc(quiet)), {"until": landed.signature, **CONFIRMED})
        != []
    )


def test_what_is_finalized_stays_unless_the_impossible_is_asked_for(quiet: Devnet) -> None:
    deposit(quiet, 10)
    quiet.finalize()
    with pytest.raises(BelowFinalized):
        quiet.rollback(33)
    quiet.rollback(32)
    assert quiet.ledger.standing().finalized.slot == quiet.ledger.tip.slot
    quiet.rollback(1, below_finalized=True)

    assert amount_at(quiet, quiet.ledger.tip.slot) == 0
    assert quiet.ledger.standing().finalized.slot == quiet.ledger.tip.slot


def test_finalized_never_goes_back_with_a_fork(quiet: Devnet) -> None:
    quiet.ledger.idle(40)
    before = ask(quiet.url, "getSlot")
    quiet.rollback(20)

    assert ask(quiet.url, "getSlot") == before
    assert ask(quiet.url, "getSlot", PROCESSED) == before + 12


def test_the_book_forgets_what_a_lost_fork_did(quiet: Devnet) -> None:
    quiet.population.act(20)
    slot = quiet.ledger.tip.slot
    before = quiet.expected_at(slot)
    done = quiet.population.act(6)
    quiet.rollback(len(done))

    assert quiet.expected_at(quiet.ledger.tip.slot + 1_000).nets == before.nets
    quiet.population.act(30)
    assert quiet.expected_at(slot) == before
    assert balances_at(quiet, quiet.ledger.tip.slot) == {
        token.address: quiet.expected_at(quiet.ledger.tip.slot).total(token.address) for token in quiet.mints.values()
    }


# A node's manners


def test_a_batch_is_answered_in_one_go(quiet: Devnet) -> None:
    requests = [
        {"jsonrpc": "2.0", "id": "a", "method": "getSlot", "params": [PROCESSED]},
        {"jsonrpc": "2.0", "id": 2, "method": "getNothing"},
        {"jsonrpc": "2.0", "id": 3, "method": "getHealth"},
    ]
    _, _, text = post(quiet.url, requests)
    slot, unknown, health = json.loads(text)

    assert slot == {"jsonrpc": "2.0", "id": "a", "result": quiet.ledger.tip.slot}
    assert (unknown["id"], unknown["error"]["code"]) == (2, -32_601)
    assert health == {"jsonrpc": "2.0", "id": 3, "result": "ok"}


def test_what_is_no_json_is_a_parse_error(quiet: Devnet) -> None:
    assert json.loads(post(quiet.url, "{")[2])["error"]["code"] == -32_700
    assert json.loads(post(quiet.url, {"id": 1})[2])["error"]["code"] == -32_600


@pytest.mark.parametrize(
    "method, params",
    [
        ("getAccountInfo", []),
        ("getAccountInfo", ["0x12"]),
        ("getAccountInfo", [str(RECEIVER), {"commitment": "safe"}]),
        ("getAccountInfo", [str(RECEIVER), "base64"]),
        ("getMultipleAccounts", [[str(RECEIVER)] * 101]),
        ("getProgramAccounts", [str(RECEIVER), {"filters": [{"dataSize": 1}] * 5}]),
        ("getProgramAccounts", [str(RECEIVER), {"filters": [{"size": 1}]}]),
        ("getSignaturesForAddress", [str(RECEIVER), {"limit": 1_001}]),
        ("getSignaturesForAddress", [str(RECEIVER), {"before": "x"}]),
        ("getTransaction", ["x"]),
        ("getBlock", ["401000000"]),
        ("getBlock", [-1]),
        ("getBlocks", [0, 500_001_000]),
        ("getTokenAccountBalance", [str(RECEIVER)]),
        ("getTokenAccountBalance", [str(tokens.MEMO_PROGRAM)]),
        ("getTokenSupply", [str(RECEIVER)]),
        ("getTokenAccountsByOwner", [str(RECEIVER), {}]),
        ("sendTransaction", ["1111"]),
    ],
)
def test_parameters_that_make_no_sense_are_invalid(quiet: Devnet, method: str, params: list[Any]) -> None:
    with pytest.raises(Answered) as caught:
        ask(quiet.url, method, *params)

    assert caught.value.code == -32_602


def test_a_node_says_when_it_is_not_yet_where_the_caller_has_been(quiet: Devnet) -> None:
    tip = quiet.ledger.tip.slot
    for method, first in (
        ("getAccountInfo", [str(vault_usdc(quiet))]),
        ("getSlot", []),
        ("getSignaturesForAddress", [str(vault_usdc(quiet))]),
    ):
        with pytest.raises(Answered) as caught:
            ask(quiet.url, method, *first, {"minContextSlot": tip, "encoding": "base64", **CONFIRMED})
        assert (caught.value.code, caught.value.extra) == (-32_016, {"contextSlot": tip - 1})
        ask(quiet.url, method, *first, {"minContextSlot": tip - 1, "encoding": "base64", **CONFIRMED})


def test_the_smaller_questions_have_answers(quiet: Devnet) -> None:
    latest = ask(quiet.url, "getLatestBlockhash", PROCESSED)["value"]

    assert latest == {"blockhash": str(quiet.ledger.tip.hash), "lastValidBlockHeight": quiet.ledger.tip.height + 150}
    assert ask(quiet.url, "isBlockhashValid", latest["blockhash"])["value"] is True
    assert set(ask(quiet.url, "getVersion")) == {"solana-core", "feature-set"}
    assert ask(quiet.url, "minimumLedgerSlot") == quiet.ledger.first_slot
    assert ask(quiet.url, "getMinimumBalanceForRentExemption", 0) == 890_880


def test_the_node_ends_with_its_chain() -> None:
    with build(users=1, actions=0) as devnet:
        url = devnet.url

    with pytest.raises(ConnectionError):
        ask(url, "getSlot")


# Faults


async def test_too_many_requests(quiet: Devnet, client: AsyncClient) -> None:
    quiet.faults.inject(RateLimited(retry_after_seconds=3), count=2)
    with pytest.raises(Answered) as caught:
        ask(quiet.url, "getSlot")
    with pytest.raises(SolanaRpcException):
        await client.get_slot()

    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "3")
    assert (await client.get_slot()).value == ask(quiet.url, "getSlot")


async def test_a_broken_gateway(quiet: Devnet, client: AsyncClient) -> None:
    with quiet.faults.inject(HttpError(502), "getBlock") as injected:
        with pytest.raises(SolanaRpcException):
            await client.get_block(quiet.ledger.first_slot)
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getBlock", quiet.ledger.first_slot)
        ask(quiet.url, "getSlot")

    assert caught.value.status == 502
    assert injected.hits == 2
    assert (await client.get_block(quiet.ledger.first_slot)).value is not None


async def test_a_connection_that_ends(quiet: Devnet) -> None:
    quiet.faults.inject(ClosedConnection(), count=1)
    async with AsyncClient(quiet.url, max_transport_retries=0) as client:
        with pytest.raises(SolanaRpcException):
            await client.get_slot()
        assert (await client.get_slot()).value > 0


async def test_an_answer_that_comes_late(quiet: Devnet) -> None:
    quiet.faults.inject(Delay(0.3), "getSlot", count=2)
    began = monotonic()
    ask(quiet.url, "getSlot")
    waited = monotonic() - began

    async with AsyncClient(quiet.url, timeout=0.1, max_transport_retries=0) as hasty:
        with pytest.raises(SolanaRpcException):
            await hasty.get_slot()
    assert waited >= 0.3


async def test_a_malformed_body(quiet: Devnet, client: AsyncClient) -> None:
    quiet.faults.inject(MalformedBody(), "getSlot", count=1)
    with pytest.raises(SerdeJSONError):
        await client.get_slot()

    assert (await client.get_slot()).value > 0


async def test_a_node_that_is_behind(quiet: Devnet, client: AsyncClient) -> None:
    with quiet.faults.inject(NodeBehind(42)):
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getAccountInfo", str(RECEIVER))
        with pytest.raises(RPCException, match="NodeUnhealthy"):
            await client.get_slot()
    assert (caught.value.code, caught.value.extra) == (-32_005, {"numSlotsBehind": 42})
    assert caught.value.message == "Node is behind by 42 slots"


def test_a_block_that_is_not_available_yet(quiet: Devnet) -> None:
    first = quiet.ledger.first_slot
    quiet.faults.inject(BlockNotAvailable(), count=2, where=lambda params: params[0] == first)
    for _ in range(2):
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getBlock", first)
        assert caught.value.code == -32_004
    assert ask(quiet.url, "getBlock", first)["blockHeight"] == quiet.ledger.blocks[0].height


def test_a_transaction_is_null_and_later_there(quiet: Devnet) -> None:
    names = [deposit(quiet, amount).transactions[0].signature for amount in (1, 2)]
    quiet.finalize()
    injected = quiet.faults.inject(NullTransaction(), where=lambda params: params[0] == names[0])

    assert [ask(quiet.url, "getTransaction", name, V0) is None for name in names] == [True, False]
    injected.lift()
    assert ask(quiet.url, "getTransaction", names[0], V0)["slot"] > 0


def test_history_lags_behind_the_accounts_for_a_while(quiet: Devnet) -> None:
    account = str(vault_usdc(quiet))
    early, late = deposit(quiet, 1), deposit(quiet, 2)
    quiet.finalize()
    slot = quiet.ledger.standing().finalized.slot
    (name,) = [landed.signature for landed in late.transactions]
    with quiet.faults.inject(HistoryLag(slot - early.slot)):
        amount = ask(quiet.url, "getTokenAccountBalance", account)["value"]["amount"]
        listed = ask(quiet.url, "getSignaturesForAddress", account)
        missing = ask(quiet.url, "getTransaction", name, V0)
        last = ask(quiet.url, "getBlocks", quiet.ledger.first_slot)[-1]
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getBlock", late.slot)

    assert amount == "3"
    assert listed[0]["signature"] == early.transactions[0].signature
    assert missing is None
    assert last == early.slot
    assert caught.value.code == -32_004
    assert ask(quiet.url, "getSignaturesForAddress", account)[0]["signature"] == name


def test_history_that_was_cut_off(quiet: Devnet) -> None:
    account = str(vault_usdc(quiet))
    old, new = deposit(quiet, 1), deposit(quiet, 2)
    quiet.finalize()
    quiet.faults.inject(TruncatedHistory(new.slot))

    assert ask(quiet.url, "getFirstAvailableBlock") == ask(quiet.url, "minimumLedgerSlot") == new.slot
    assert [line["slot"] for line in ask(quiet.url, "getSignaturesForAddress", account)] == [new.slot]
    assert ask(quiet.url, "getTransaction", old.transactions[0].signature, V0) is None
    assert ask(quiet.url, "getBlocks", old.slot)[0] == new.slot
    assert ask(quiet.url, "getSignaturesForAddress", account, {"before": old.transactions[0].signature}) == []
    with pytest.raises(Answered) as caught:
        ask(quiet.url, "getBlock", old.slot)
    assert caught.value.code == -32_001
    assert caught.value.message.endswith(f"First available block: {new.slot}")


def test_a_node_that_denies_a_block(quiet: Devnet) -> None:
    denied = deposit(quiet, 1)
    quiet.ledger.mine()
    quiet.finalize()
    with quiet.faults.inject(OmittedBlocks(frozenset({denied.slot}))):
        around = ask(quiet.url, "getBlocks", denied.slot - 1, denied.slot + 1)
        limited = ask(quiet.url, "getBlocksWithLimit", denied.slot - 1, 2)
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getBlock", denied.slot)

    assert around == limited == [denied.slot - 1, denied.slot + 1]
    assert caught.value.code == -32_009
    assert ask(quiet.url, "getBlock", denied.slot)["parentSlot"] == denied.slot - 1


def test_signatures_of_a_slot_may_come_in_another_order(quiet: Devnet) -> None:
    account = str(vault_usdc(quiet))
    steps = [deposit_step(quiet, amount) for amount in range(1, 9)]
    block = quiet.ledger.mine(*(quiet.scene.signed(step) for step in steps))
    quiet.finalize()
    usual = [line["signature"] for line in ask(quiet.url, "getSignaturesForAddress", account, {"limit": 8})]
    quiet.faults.inject(SignatureOrder())
    other = [line["signature"] for line in ask(quiet.url, "getSignaturesForAddress", account, {"limit": 8})]
    rest = ask(quiet.url, "getSignaturesForAddress", account, {"limit": 3, "before": other[4]})

    assert usual == [landed.signature for landed in reversed(block.transactions)]
    assert other == sorted(usual, key=base58.decode, reverse=True) != usual
    assert [line["signature"] for line in rest] == other[5:]


def test_an_address_may_hide_nodes_that_stand_at_different_slots(quiet: Devnet) -> None:
    tip = quiet.ledger.tip.slot
    quiet.faults.inject(Elsewhere(3), "getSlot", count=1)

    assert [ask(quiet.url, "getSlot", PROCESSED) for _ in range(2)] == [tip - 3, tip]


def test_an_answer_may_be_made_up(quiet: Devnet) -> None:
    quiet.faults.inject(Answer(result="elsewhere"), "getGenesisHash", count=1)
    quiet.faults.inject(Answer(error={"code": -32_603, "message": "Internal error"}), "getSlot", count=1)

    assert ask(quiet.url, "getGenesisHash") == "elsewhere"
    with pytest.raises(Answered, match="Internal error"):
        ask(quiet.url, "getSlot")
    assert ask(quiet.url, "getGenesisHash") != "elsewhere"


def test_faults_are_lifted_one_by_one_or_all(quiet: Devnet) -> None:
    first = quiet.faults.inject(NodeBehind(1), "getSlot")
    quiet.faults.inject(NodeBehind(2), "getSlot")
    messages = []
    for lift in (first.lift, quiet.faults.lift):
        with pytest.raises(Answered) as caught:
            ask(quiet.url, "getSlot")
        messages.append(caught.value.extra)
        lift()

    assert messages == [{"numSlotsBehind": 1}, {"numSlotsBehind": 2}]
    assert ask(quiet.url, "getSlot") > 0


def test_two_nodes_of_one_chain_stand_at_different_slots(quiet: Devnet) -> None:
    account = str(vault_usdc(quiet))
    quiet.ledger.idle(40)
    (landed,) = deposit(quiet, 10).transactions
    quiet.ledger.idle(4)
    with quiet.serve(lag=5) as behind:
        slots = [ask(url, "getSlot", PROCESSED) for url in (quiet.url, behind.url)]
        amounts = [
            ask(url, "getTokenAccountBalance", account, PROCESSED)["value"]["amount"] for url in (quiet.url, behind.url)
        ]
        known = [
            ask(url, "getTransaction", landed.signature, {**V0, **CONFIRMED}) is not None
            for url in (quiet.url, behind.url)
        ]
        behind.lag = 0
        caught_up = ask(behind.url, "getSlot", PROCESSED)
        behind.lag = 500
        with pytest.raises(Answered) as unhealthy:
            ask(behind.url, "getHealth")

    assert slots == [quiet.ledger.tip.slot, quiet.ledger.tip.slot - 5]
    assert amounts == ["10", "0"]
    assert known == [True, False]
    assert caught_up == quiet.ledger.tip.slot
    assert unhealthy.value.code == -32_005


def test_a_fault_of_one_node_is_none_of_another(quiet: Devnet) -> None:
    with quiet.serve() as other:
        other.faults.inject(NodeBehind(9))
        with pytest.raises(Answered):
            ask(other.url, "getSlot")
        assert ask(quiet.url, "getSlot") > 0


def test_a_node_of_another_genesis(quiet: Devnet) -> None:
    with quiet.serve(genesis=genesis_hash(99)) as other:
        assert ask(other.url, "getGenesisHash") == str(genesis_hash(99)) != ask(quiet.url, "getGenesisHash")


# Subscriptions


@asynccontextmanager
async def listening(devnet: Devnet) -> AsyncIterator[SolanaWsClient]:
    """A websocket to a devnet's node."""
    async with SolanaWsClient(devnet.ws_url, request_timeout=15) as socket:
        yield socket


async def heard(socket: SolanaWsClient, count: int) -> list[Any]:
    """The next notifications."""
    return [await asyncio.wait_for(socket.recv(), 15) for _ in range(count)]


async def silence(socket: SolanaWsClient) -> bool:
    """Whether nothing more comes."""
    try:
        await asyncio.wait_for(socket.recv(), 0.1)
    except TimeoutError:
        return True
    return False


def slots_of(notifications: Iterable[Any]) -> list[int]:
    """The slots of slot notifications."""
    return [notification.result.slot for notification in notifications]


async def test_slots_are_told_in_order_with_parent_and_root(quiet: Devnet) -> None:
    async with listening(quiet) as socket:
        await socket.slot_subscribe()
        first = quiet.ledger.open_slot
        for skipped in (0, 2, 0):
            quiet.ledger.mine(skipped=skipped)
        told = [note.result for note in await heard(socket, 3)]

    assert [info.slot for info in told] == [first, first + 3, first + 4]
    assert [info.parent for info in told] == [first - 1, first, first + 3]
    assert {info.root for info in told} == {quiet.ledger.standing().finalized.slot}


async def test_roots_are_told_one_by_one_even_when_many_come_at_once(quiet: Devnet) -> None:
    quiet.ledger.idle(40)
    root = quiet.ledger.standing().finalized.slot
    async with listening(quiet) as socket:
        await socket.root_subscribe()
        quiet.ledger.mine(skipped=3)
        told = [note.result for note in await heard(socket, 4)]

    assert told == [root + 1, root + 2, root + 3, root + 4]


async def test_an_account_is_told_at_each_commitment_in_its_time(quiet: Devnet) -> None:
    quiet.finalize()
    async with listening(quiet) as socket:
        levels = {}
        for level in (Processed, Confirmed, Finalized):
            subscription = await socket.account_subscribe(pubkey=vault_usdc(quiet), commitment=level, encoding="base64")
            levels[subscription.subscription_id] = str(level)
        block = deposit(quiet, 5)
        at_once = await heard(socket, 1)
        quiet.ledger.mine()
        next_block = await heard(socket, 1)
        quiet.finalize()
        at_last = await heard(socket, 1)

    told = [*at_once, *next_block, *at_last]
    assert [levels[note.subscription] for note in told] == ["processed", "confirmed", "finalized"]
    assert [note.result.context.slot for note in told] == [block.slot] * 3
    assert {int.from_bytes(note.result.value.data[64:72], "little") for note in told} == {5}


async def test_a_lost_fork_is_told_as_the_state_it_brings_back(quiet: Devnet) -> None:
    async with listening(quiet) as socket:
        await socket.account_subscribe(pubkey=vault_usdc(quiet), commitment=Processed, encoding="base64")
        deposit(quiet, 5)
        quiet.rollback(1)
        deposit(quiet, 6)
        told = await heard(socket, 3)

    assert [int.from_bytes(note.result.value.data[64:72], "little") for note in told] == [5, 0, 6]


async def test_a_closed_account_is_told_as_nothing(quiet: Devnet) -> None:
    key = Pubkey.from_bytes(bytes([7]) * 32)
    quiet.ledger.set_account(key, owner=RECEIVER, data=b"price")
    quiet.ledger.seal()
    async with listening(quiet) as socket:
        await socket.account_subscribe(pubkey=key, commitment=Processed, encoding="base64")
        await socket.program_subscribe(program_id=RECEIVER, commitment=Processed, encoding="base64")
        quiet.ledger.close(key)
        quiet.ledger.seal()
        (told,) = await heard(socket, 1)
        nothing_of_the_program = await silence(socket)

    assert (told.result.value.lamports, told.result.value.data) == (0, b"")
    assert nothing_of_the_program


async def test_logs_come_in_the_order_of_the_block_and_only_of_those_mentioned(quiet: Devnet) -> None:
    usdc, jsol = (quiet.vault.accounts[symbol][0] for symbol in (USDC, JSOL))
    async with listening(quiet) as socket:
        every = await socket.logs_subscribe(commitment=Processed)
        some = await socket.logs_subscribe(filter_=RpcTransactionLogsFilterMentions(jsol), commitment=Processed)
        steps = [deposit_step(quiet, 1), deposit_step(quiet, 2, symbol=JSOL), deposit_step(quiet, 10**17)]
        block = quiet.ledger.mine(*(quiet.scene.signed(step) for step in steps))
        told = await heard(socket, 4)

    names: dict[int, list[str]] = {subscription.subscription_id: [] for subscription in (every, some)}
    for note in told:
        names[note.subscription].append(str(note.result.value.signature))
    expected = [landed.signature for landed in block.transactions]
    assert names == {every.subscription_id: expected, some.subscription_id: expected[1:2]}
    assert usdc != jsol
    assert [note.result.value.err is None for note in told if note.subscription == every.subscription_id] == [
        True,
        True,
        False,
    ]


async def test_a_program_tells_of_the_accounts_that_fit(quiet: Devnet) -> None:
    async with listening(quiet) as socket:
        await socket.program_subscribe(
            program_id=TOKEN_PROGRAM_ID,
            commitment=Processed,
            encoding="base64",
            filters=[165, MemcmpOpts(offset=32, bytes=str(quiet.vault.authority))],
        )
        block = deposit(quiet, 5)
        (told,) = await heard(socket, 1)

    assert told.result.context.slot == block.slot
    assert told.result.value.pubkey == vault_usdc(quiet)


async def test_a_signature_is_told_once(quiet: Devnet) -> None:
    transaction = quiet.scene.signed(deposit_step(quiet, 5))
    async with listening(quiet) as socket:
        await socket.signature_subscribe(signature=transaction.signatures[0], commitment=Confirmed)
        quiet.ledger.mine(transaction)
        quiet.ledger.idle(3)
        (told,) = await heard(socket, 1)
        silent = await silence(socket)

    assert told.result.value.err is None
    assert silent


async def test_who_leaves_hears_no_more(quiet: Devnet) -> None:
    async with listening(quiet) as socket:
        subscription = await socket.slot_subscribe()
        quiet.ledger.mine()
        await heard(socket, 1)
        await socket.unsubscribe(subscription)
        quiet.ledger.mine()

        assert await silence(socket)


async def test_notifications_are_doubled_swapped_or_lost(quiet: Devnet) -> None:
    async with listening(quiet) as socket:
        await socket.slot_subscribe()
        first = quiet.ledger.open_slot
        told = []
        for fault in (Duplicated(), Reordered(), Swallowed()):
            quiet.faults.inject(fault, "slotNotification", count=1)
            quiet.ledger.idle(2)
            told.append(slots_of(await heard(socket, {Duplicated: 3, Reordered: 2, Swallowed: 1}[type(fault)])))

    assert told == [[first, first, first + 1], [first + 3, first + 2], [first + 5]]


async def test_websockets_end_after_so_many_notifications_and_can_be_opened_again(quiet: Devnet) -> None:
    quiet.faults.inject(DroppedWebsocket(after=2), count=1)
    async with listening(quiet) as socket:
        await socket.slot_subscribe()
        quiet.ledger.idle(4)
        assert len(await heard(socket, 2)) == 2
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 15)
    async with listening(quiet) as socket:
        await socket.slot_subscribe()
        quiet.ledger.mine()
        assert slots_of(await heard(socket, 1)) == [quiet.ledger.tip.slot]


async def test_all_websockets_can_be_ended_at_once(quiet: Devnet) -> None:
    async with listening(quiet) as one, listening(quiet) as other:
        await one.slot_subscribe()
        await other.slot_subscribe()
        quiet.node.drop_websockets()
        for socket in (one, other):
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 15)


async def test_a_node_that_is_behind_tells_of_slots_when_it_reaches_them(quiet: Devnet) -> None:
    with quiet.serve(lag=3) as behind:
        async with SolanaWsClient(behind.ws_url, request_timeout=15) as socket:
            await socket.slot_subscribe()
            quiet.ledger.idle(2)
            told = slots_of(await heard(socket, 2))

    assert told == [quiet.ledger.tip.slot - 4, quiet.ledger.tip.slot - 3]


# The record


def test_a_dump_is_plain_json_and_complete(busy: Devnet) -> None:
    recorded = dump(busy.ledger)
    text = json.dumps(recorded)
    address = str(vault_usdc(busy))

    assert json.loads(text) == recorded
    assert [block["slot"] for block in recorded["blocks"]] == [block.slot for block in busy.ledger.blocks]
    assert recorded["signatures"][address] == [
        line["signature"] for line in ask(busy.url, "getSignaturesForAddress", address)
    ]
    for name in recorded["signatures"][address][:20]:
        assert recorded["transactions"][name] == ask(busy.url, "getTransaction", name, V0)
    last_slot, last = recorded["accounts"][address][-1]
    answer = ask(busy.url, "getAccountInfo", address, {"encoding": "base64"})
    assert last_slot <= answer["context"]["slot"]
    assert answer["value"]["data"] == [last["data"], "base64"]


def fingerprint(*, seed: int) -> Sequence[Any]:
    """All that a chain is."""
    with build(seed=seed, users=8, actions=80, price_every=5, rare=True) as devnet:
        devnet.rollback(3)
        devnet.population.act(20)
        tip = devnet.ledger.tip
        return devnet.chain_id, str(tip.hash), dump(devnet.ledger), devnet.expected_at(tip.slot)
