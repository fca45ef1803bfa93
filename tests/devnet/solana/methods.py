"""Every method of the node, by name. Each takes what the node knows and the request's parameters."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from tests.devnet.solana import base58, wire
from tests.devnet.solana.accounts import Image, TokenHolding, mint_of, rent_exempt, token_holding, ui_amount
from tests.devnet.solana.blocks import Block, Landed, Standing
from tests.devnet.solana.errors import PREFLIGHT_FAILURE, RpcError, invalid
from tests.devnet.solana.faults import BlockNotAvailable, NullTransaction, SignatureOrder, has
from tests.devnet.solana.ledger import BLOCKHASH_LIFE, SLOTS_IN_EPOCH, Refused
from tests.devnet.solana.view import (
    API_VERSION,
    Config,
    Params,
    View,
    argument,
    bank,
    config,
    in_context,
    number,
    pubkey,
    settled,
    signature,
)

LARGEST_ACCOUNTS = 100
MOST_FILTERS = 4
MOST_SIGNATURES = 1_000
MOST_STATUSES = 256
MOST_SLOTS = 500_000
UNHEALTHY_LAG = 128
VERSION = {"solana-core": API_VERSION, "feature-set": 3604001754}


Method: TypeAlias = Callable[[View, Params], Any]


# The node and its slots


def get_slot(view: View, params: Params) -> int:
    return bank(view, config(params, 0)).slot


def get_block_height(view: View, params: Params) -> int:
    return bank(view, config(params, 0)).height


def get_epoch_info(view: View, params: Params) -> dict[str, int]:
    block = bank(view, config(params, 0))
    return {
        "absoluteSlot": block.slot,
        "blockHeight": block.height,
        "epoch": block.slot // SLOTS_IN_EPOCH,
        "slotIndex": block.slot % SLOTS_IN_EPOCH,
        "slotsInEpoch": SLOTS_IN_EPOCH,
        "transactionCount": sum(len(each.transactions) for each in view.ledger.between(0, block.slot)),
    }


def get_epoch_schedule(view: View, params: Params) -> dict[str, Any]:
    return {
        "slotsPerEpoch": SLOTS_IN_EPOCH,
        "leaderScheduleSlotOffset": SLOTS_IN_EPOCH,
        "warmup": False,
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
    }


def get_genesis_hash(view: View, params: Params) -> str:
    return str(view.genesis_hash)


def get_health(view: View, params: Params) -> str:
    if view.lag > UNHEALTHY_LAG:
        raise RpcError.behind(view.lag)
    return "ok"


def get_version(view: View, params: Params) -> dict[str, Any]:
    return VERSION


def get_latest_blockhash(view: View, params: Params) -> dict[str, Any]:
    block = bank(view, config(params, 0))
    return in_context(block, {"blockhash": str(block.hash), "lastValidBlockHeight": block.height + BLOCKHASH_LIFE})


def is_blockhash_valid(view: View, params: Params) -> dict[str, Any]:
    block = bank(view, config(params, 1))
    return in_context(block, view.ledger.knows_hash(Hash.from_string(argument(params, 0))))


def get_minimum_balance(view: View, params: Params) -> int:
    return rent_exempt(number(params, 0))


# Blocks


def get_first_available_block(view: View, params: Params) -> int:
    return view.first_slot


def get_blocks(view: View, params: Params) -> list[int]:
    first = number(params, 0)
    has_last = len(params) > 1 and not isinstance(params[1], Mapping) and params[1] is not None
    options = config(params, 1 if len(params) == 2 and not has_last else 2)
    newest = view.history.at(settled(options)).slot
    last = min(number(params, 1), newest) if has_last else newest
    if last - first > MOST_SLOTS:
        raise invalid(f"Slot range too large; max {MOST_SLOTS}")
    return [block.slot for block in view.blocks(first, last)]


def get_blocks_with_limit(view: View, params: Params) -> list[int]:
    first, limit = number(params, 0), number(params, 1)
    if limit > MOST_SLOTS:
        raise invalid(f"Limit too large; max {MOST_SLOTS}")
    newest = view.history.at(settled(config(params, 2)))
    return [block.slot for block in view.blocks(first, newest.slot)[:limit]]


def get_block(view: View, params: Params) -> dict[str, Any]:
    slot, options = number(params, 0), config(params, 1)
    block = known_block(view, slot, settled(options))
    return wire.block_json(
        block,
        details=options.get("transactionDetails") or "full",
        encoding=options.get("encoding") or "json",
        most_version=options.get("maxSupportedTransactionVersion"),
        rewards=options.get("rewards") is not False,
    )


def get_block_time(view: View, params: Params) -> int:
    return known_block(view, number(params, 0), "confirmed").time


def known_block(view: View, slot: int, level: str) -> Block:
    """The block of a slot. A slot is called skipped only once it is finalized that it was."""
    if has(view.faults, BlockNotAvailable):
        raise RpcError.not_available(slot)
    if slot < view.first_slot:
        raise RpcError.cleaned_up(slot, view.first_slot)
    standing, block = view.history, view.block(slot)
    if block is None and slot <= standing.finalized.slot:
        raise RpcError.skipped(slot, long_term_storage=view.long_term_storage)
    if block is None or slot > standing.at(level).slot:
        raise RpcError.not_available(slot)
    return block


# Transactions


def get_signatures_for_address(view: View, params: Params) -> list[dict[str, Any]]:
    """Newest first. An unknown `before` gives nothing; an unknown `until` is no bound."""
    address, options = pubkey(argument(params, 0)), config(params, 1)
    limit = options.get("limit") or MOST_SIGNATURES
    if not 1 <= limit <= MOST_SIGNATURES:
        raise invalid(f"Invalid limit; max {MOST_SIGNATURES}")
    newest = view.history.at(settled(options))
    bank(view, options)
    rank = by_signature if has(view.faults, SignatureOrder) else by_place
    kept = (landed for landed in view.ledger.history(address) if view.keeps(landed, newest))
    listed = sorted(kept, key=rank)
    first, last = 0, len(listed)
    if options.get("before"):
        before = view.ledger.transactions.get(signature(options["before"]))
        if before is None or not view.keeps(before, newest):
            return []
        last = bisect_left(listed, rank(before), key=rank)
    if options.get("until"):
        until = view.ledger.transactions.get(signature(options["until"]))
        if until is not None and view.keeps(until, newest):
            first = bisect_right(listed, rank(until), key=rank)
    page = listed[max(first, last - limit) : last]
    return [wire.signature_json(landed, status_of(view, landed)) for landed in reversed(page)]


def by_place(landed: Landed) -> tuple[int, int, bytes]:
    """The order of the chain."""
    return landed.slot, landed.index, b""


def by_signature(landed: Landed) -> tuple[int, int, bytes]:
    """The order of slots, and within a slot that of signatures."""
    return landed.slot, 0, bytes(landed.transaction.signatures[0])


def status_of(view: View, landed: Landed) -> str:
    """The highest commitment that a transaction has reached."""
    standing = view.standing
    if landed.slot <= standing.finalized.slot:
        return "finalized"
    return "confirmed" if landed.slot <= standing.confirmed.slot else "processed"


def get_transaction(view: View, params: Params) -> dict[str, Any] | None:
    name = signature(argument(params, 0))
    options: Config = {"encoding": params[1]} if isinstance(params[-1], str) and params[1:] else config(params, 1)
    newest = view.history.at(settled(options))
    landed = view.ledger.transactions.get(name)
    if landed is None or not view.keeps(landed, newest) or has(view.faults, NullTransaction):
        return None
    most_version = options.get("maxSupportedTransactionVersion")
    return wire.confirmed_transaction(landed, options.get("encoding") or "json", most_version)


def get_signature_statuses(view: View, params: Params) -> dict[str, Any]:
    names = argument(params, 0)
    if len(names) > MOST_STATUSES:
        raise invalid(f"Too many inputs provided; max {MOST_STATUSES}")
    everything = bool(config(params, 1).get("searchTransactionHistory"))
    standing = view.history
    statuses = [signature_status(view, standing, signature(name), everything=everything) for name in names]
    return in_context(standing.processed, statuses)


def signature_status(view: View, standing: Standing, name: str, *, everything: bool) -> dict[str, Any] | None:
    """How far a transaction got; without a search only recent ones are known."""
    landed = view.ledger.transactions.get(name)
    if landed is None or not view.keeps(landed, standing.processed):
        return None
    block = view.ledger.newest_until(landed.slot)
    depth = standing.processed.height - block.height
    if depth > BLOCKHASH_LIFE and not everything:
        return None
    status = status_of(view, landed)
    return {
        "slot": landed.slot,
        "confirmations": None if status == "finalized" else depth,
        "err": landed.error,
        "status": {"Ok": None} if landed.error is None else {"Err": landed.error},
        "confirmationStatus": status,
    }


def send_transaction(view: View, params: Params) -> str:
    """A block of its own for the transaction."""
    text, options = argument(params, 0), config(params, 1)
    try:
        signed = b64decode(text, validate=True) if options.get("encoding") == "base64" else base58.decode(text)
        transaction = VersionedTransaction.from_bytes(signed)
    except (ValueError, NotBase64) as error:
        raise invalid(f"failed to deserialize solana_transaction::versioned::VersionedTransaction: {error}") from error
    try:
        landed = view.ledger.execute(transaction)
    except Refused as refused:
        extra = {"err": refused.error, "logs": list(refused.logs), "accounts": None, "unitsConsumed": 0}
        message = f"Transaction simulation failed: {refused.error}"
        raise RpcError(PREFLIGHT_FAILURE, message, extra) from refused
    view.ledger.seal()
    return landed.signature


# Accounts


def get_account_info(view: View, params: Params) -> dict[str, Any]:
    key, options = pubkey(argument(params, 0)), config(params, 1)
    block = bank(view, options)
    return in_context(block, shown(view.ledger.account_at(key, block.slot), options))


def get_balance(view: View, params: Params) -> dict[str, Any]:
    key, block = pubkey(argument(params, 0)), bank(view, config(params, 1))
    image = view.ledger.account_at(key, block.slot)
    return in_context(block, image.lamports if image else 0)


def get_multiple_accounts(view: View, params: Params) -> dict[str, Any]:
    names, options = argument(params, 0), config(params, 1)
    if len(names) > LARGEST_ACCOUNTS:
        raise invalid(f"Too many inputs provided; max {LARGEST_ACCOUNTS}")
    block = bank(view, options)
    return in_context(block, [shown(view.ledger.account_at(pubkey(name), block.slot), options) for name in names])


def get_program_accounts(view: View, params: Params) -> Any:
    program, options = pubkey(argument(params, 0)), config(params, 1)
    tests = filters(options)
    block = bank(view, options)
    found = [
        {"pubkey": str(key), "account": shown(image, options)}
        for key, image in view.ledger.owned_at(program, block.slot)
        if all(test(image) for test in tests)
    ]
    return in_context(block, found) if options.get("withContext") else found


def get_token_accounts_by_owner(view: View, params: Params) -> dict[str, Any]:
    owner, wanted, options = pubkey(argument(params, 0)), argument(params, 1), config(params, 2)
    block = bank(view, options)
    if "mint" in wanted:
        mint = pubkey(wanted["mint"])
        image = view.ledger.account_at(mint, block.slot)
        if image is None or mint_of(image) is None:
            raise invalid("Invalid param: could not find mint")
        program, tests = image.owner, [lambda held: held.mint == mint]
    elif "programId" in wanted:
        program, tests = pubkey(wanted["programId"]), []
    else:
        raise invalid("Invalid params: expected mint or programId")
    found = [
        {"pubkey": str(key), "account": shown(image, options)}
        for key, image in view.ledger.owned_at(program, block.slot)
        if holds_for(image, owner, tests)
    ]
    return in_context(block, found)


def holds_for(image: Image, owner: Pubkey, tests: Sequence[Callable[[TokenHolding], bool]]) -> bool:
    """Whether an image is a token account of an owner that passes the tests."""
    held = token_holding(image)
    return held is not None and held.owner == owner and all(test(held) for test in tests)


def get_token_supply(view: View, params: Params) -> dict[str, Any]:
    key, block = pubkey(argument(params, 0)), bank(view, config(params, 1))
    image = view.ledger.account_at(key, block.slot)
    mint = mint_of(image)
    if mint is None:
        raise invalid("Invalid param: could not find mint" if image is None else "Invalid param: not a Token mint")
    return in_context(block, ui_amount(mint.supply, mint.decimals))


def get_token_account_balance(view: View, params: Params) -> dict[str, Any]:
    key, block = pubkey(argument(params, 0)), bank(view, config(params, 1))
    image = view.ledger.account_at(key, block.slot)
    held = token_holding(image)
    if held is None:
        raise invalid(
            "Invalid param: could not find account" if image is None else "Invalid param: not a Token account"
        )
    mint = mint_of(view.ledger.account_at(held.mint, block.slot))
    if mint is None:
        raise invalid("Invalid param: could not find mint")
    return in_context(block, ui_amount(held.amount, mint.decimals))


def shown(image: Image | None, options: Config) -> dict[str, Any] | None:
    """An account as asked for; null for none."""
    return wire.account_json(image, options.get("encoding"), options.get("dataSlice")) if image else None


def filters(options: Config) -> list[Callable[[Image], bool]]:
    """What the accounts of a program must fit."""
    found = options.get("filters") or []
    if len(found) > MOST_FILTERS:
        raise invalid(f"Too many filters provided; max {MOST_FILTERS}")
    return [filter_of(each) for each in found]


def filter_of(wanted: Any) -> Callable[[Image], bool]:
    """One filter as a test."""
    match wanted:
        case {"dataSize": int(size)}:
            return lambda image: len(image.data) == size
        case {"memcmp": {"offset": int(offset), "bytes": expected, **rest}}:
            part = compared(expected, str(rest.get("encoding")))
            return lambda image: image.data[offset : offset + len(part)] == part
        case "tokenAccountState" | {"tokenAccountState": _}:
            return lambda image: token_holding(image) is not None
        case _:
            raise invalid(f"Invalid params: unknown filter {wanted!r}")


def compared(expected: Any, encoding: str) -> bytes:
    """The bytes of a memcmp filter: base58 text unless said, or numbers."""
    try:
        if isinstance(expected, list):
            return bytes(expected)
        return b64decode(expected, validate=True) if encoding == "base64" else base58.decode(expected)
    except (TypeError, ValueError, NotBase64) as error:
        raise invalid(f"Invalid param: {error}") from error


METHODS: Mapping[str, Method] = {
    "getAccountInfo": get_account_info,
    "getBalance": get_balance,
    "getBlock": get_block,
    "getBlockHeight": get_block_height,
    "getBlockTime": get_block_time,
    "getBlocks": get_blocks,
    "getBlocksWithLimit": get_blocks_with_limit,
    "getEpochInfo": get_epoch_info,
    "getEpochSchedule": get_epoch_schedule,
    "getFirstAvailableBlock": get_first_available_block,
    "getGenesisHash": get_genesis_hash,
    "getHealth": get_health,
    "getLatestBlockhash": get_latest_blockhash,
    "getMinimumBalanceForRentExemption": get_minimum_balance,
    "getMultipleAccounts": get_multiple_accounts,
    "getProgramAccounts": get_program_accounts,
    "getSignatureStatuses": get_signature_statuses,
    "getSignaturesForAddress": get_signatures_for_address,
    "getSlot": get_slot,
    "getTokenAccountBalance": get_token_account_balance,
    "getTokenAccountsByOwner": get_token_accounts_by_owner,
    "getTokenSupply": get_token_supply,
    "getTransaction": get_transaction,
    "getVersion": get_version,
    "isBlockhashValid": is_blockhash_valid,
    "minimumLedgerSlot": get_first_available_block,
    "sendTransaction": send_transaction,
}
