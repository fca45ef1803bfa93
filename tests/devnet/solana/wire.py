"""What the ledger knows, in the JSON that nodes speak."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from solders.instruction import CompiledInstruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from tests.devnet.solana import base58
from tests.devnet.solana.accounts import Image, ui_amount
from tests.devnet.solana.blocks import Block, Landed, Moment, TokenBalance, writable_indexes
from tests.devnet.solana.errors import RpcError, invalid, too_long_for_base58
from tests.devnet.solana.tokens import MEMO_PROGRAM

RENT_EPOCH = 2**64 - 1
LONGEST_BASE58 = 128
"""Nodes refuse to write more bytes than these as base58."""
BINARY_ENCODINGS = ("base58", "base64")


def account_json(image: Image, encoding: str | None, part: Mapping[str, int] | None = None) -> dict[str, Any]:
    """An account; `part` cuts `length` bytes from `offset` out of its bytes."""
    body = image.data
    if part is not None:
        body = body[part["offset"] : part["offset"] + part["length"]]
    return {
        "data": account_bytes(body, encoding),
        "executable": image.executable,
        "lamports": image.lamports,
        "owner": str(image.owner),
        "rentEpoch": RENT_EPOCH,
        "space": len(image.data),
    }


def account_bytes(body: bytes, encoding: str | None) -> Any:
    """The bytes of an account; without an encoding a bare base58 string, as in old days."""
    if encoding in {"base64", "jsonParsed"}:
        return [b64encode(body).decode(), "base64"]
    if encoding not in {None, "binary", "base58"}:
        raise invalid(f"this node does not write accounts as {encoding}")
    if len(body) > LONGEST_BASE58:
        raise too_long_for_base58(LONGEST_BASE58)
    text = base58.encode(body)
    return [text, "base58"] if encoding == "base58" else text


def confirmed_transaction(landed: Landed, encoding: str, most_version: int | None) -> dict[str, Any]:
    """A transaction as `getTransaction` gives it."""
    return {
        "slot": landed.slot,
        "blockTime": landed.time,
        **encoded_transaction(landed, encoding, most_version),
    }


def encoded_transaction(landed: Landed, encoding: str, most_version: int | None) -> dict[str, Any]:
    """A transaction with its outcome; its version only for who said which versions they can read."""
    if landed.version != "legacy" and most_version is None:
        raise RpcError.unsupported_version(landed.version)
    version = {} if most_version is None else {"version": landed.version}
    return {"transaction": transaction_json(landed, encoding), "meta": meta_json(landed, encoding), **version}


def transaction_json(landed: Landed, encoding: str) -> Any:
    """What was signed."""
    if encoding in BINARY_ENCODINGS:
        signed = bytes(landed.transaction)
        return [b64encode(signed).decode() if encoding == "base64" else base58.encode(signed), encoding]
    if encoding not in {"json", "jsonParsed"}:
        raise invalid(f"this node does not write transactions as {encoding}")
    signatures = [str(signature) for signature in landed.transaction.signatures]
    return {"signatures": signatures, "message": message_json(landed, parsed=encoding == "jsonParsed")}


def message_json(landed: Landed, *, parsed: bool) -> dict[str, Any]:
    """A message; `parsed` names accounts where the plain form numbers them."""
    message = landed.transaction.message
    header = message.header
    plain = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in message.account_keys],
    }
    instructions = [instruction_json(landed, each, 1, parsed=parsed) for each in message.instructions]
    lookups = {"addressTableLookups": lookups_json(message)} if isinstance(message, MessageV0) else {}
    return {
        **({"accountKeys": keys_json(landed)} if parsed else plain),
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": instructions,
        **lookups,
    }


def instruction_json(landed: Landed, compiled: CompiledInstruction, height: int, *, parsed: bool) -> dict[str, Any]:
    """An instruction, one more called by it being one higher."""
    written = {"data": base58.encode(compiled.data), "stackHeight": height}
    if not parsed:
        return {"programIdIndex": compiled.program_id_index, "accounts": list(compiled.accounts), **written}
    keys = landed.keys
    accounts = [str(keys[index]) for index in compiled.accounts]
    return {"programId": str(keys[compiled.program_id_index]), "accounts": accounts, **written}


def lookups_json(message: MessageV0) -> list[dict[str, Any]]:
    """Which lookup tables a message reads."""
    return [
        {
            "accountKey": str(lookup.account_key),
            "writableIndexes": list(lookup.writable_indexes),
            "readonlyIndexes": list(lookup.readonly_indexes),
        }
        for lookup in message.address_table_lookups
    ]


def keys_json(landed: Landed) -> list[dict[str, Any]]:
    """Every key, with what the transaction may do to it and where it came from."""
    message = landed.transaction.message
    writable = set(writable_indexes(message, len(landed.loaded_writable)))
    static = len(message.account_keys)
    return [
        {
            "pubkey": str(key),
            "signer": index < message.header.num_required_signatures,
            "writable": index in writable,
            "source": "transaction" if index < static else "lookupTable",
        }
        for index, key in enumerate(landed.keys)
    ]


def meta_json(landed: Landed, encoding: str) -> dict[str, Any]:
    """What became of a transaction."""
    parsed = encoding == "jsonParsed"
    loaded = {
        "writable": [str(key) for key in landed.loaded_writable],
        "readonly": [str(key) for key in landed.loaded_readonly],
    }
    returned = {
        "returnData": {
            "programId": str(landed.return_program),
            "data": [b64encode(landed.return_bytes).decode(), "base64"],
        }
    }
    return {
        **outcome_json(landed),
        "innerInstructions": inner_json(landed, parsed=parsed),
        "logMessages": list(landed.logs),
        "rewards": [],
        **({} if parsed else {"loadedAddresses": loaded}),
        **(returned if landed.return_program else {}),
        "computeUnitsConsumed": landed.compute_units,
    }


def outcome_json(landed: Landed) -> dict[str, Any]:
    """Whether a transaction succeeded and what its accounts held."""
    return {
        "err": landed.error,
        "status": {"Ok": None} if landed.error is None else {"Err": landed.error},
        "fee": landed.fee,
        "preBalances": list(landed.before.lamports),
        "postBalances": list(landed.after.lamports),
        "preTokenBalances": balances_json(landed.before),
        "postTokenBalances": balances_json(landed.after),
    }


def balances_json(moment: Moment) -> list[dict[str, Any]]:
    """What the token accounts held."""
    return [balance_json(balance) for balance in moment.tokens]


def balance_json(balance: TokenBalance) -> dict[str, Any]:
    """What a token account held; nodes write the float of nothing as null."""
    shown = ui_amount(balance.amount, balance.decimals)
    return {
        "accountIndex": balance.index,
        "mint": str(balance.mint),
        "owner": str(balance.owner),
        "programId": str(balance.program),
        "uiTokenAmount": shown if balance.amount else {**shown, "uiAmount": None},
    }


def inner_json(landed: Landed, *, parsed: bool) -> list[dict[str, Any]]:
    """What each instruction called, without those that called nothing."""
    return [
        {
            "index": index,
            "instructions": [
                instruction_json(landed, each.instruction(), each.stack_height() or 0, parsed=parsed) for each in group
            ],
        }
        for index, group in enumerate(landed.inner)
        if group
    ]


def accounts_only(landed: Landed, most_version: int | None) -> dict[str, Any]:
    """A transaction of `getBlock` with `transactionDetails: accounts`."""
    if landed.version != "legacy" and most_version is None:
        raise RpcError.unsupported_version(landed.version)
    signatures = [str(signature) for signature in landed.transaction.signatures]
    version = {} if most_version is None else {"version": landed.version}
    return {
        "transaction": {"signatures": signatures, "accountKeys": keys_json(landed)},
        "meta": outcome_json(landed),
        **version,
    }


def block_json(block: Block, *, details: str, encoding: str, most_version: int | None, rewards: bool) -> dict[str, Any]:
    """A block as `getBlock` gives it."""
    body: dict[str, Any] = {
        "blockhash": str(block.hash),
        "previousBlockhash": str(block.previous_hash),
        "parentSlot": block.parent_slot,
        "blockTime": block.time,
        "blockHeight": block.height,
    }
    if details == "full":
        body["transactions"] = [encoded_transaction(each, encoding, most_version) for each in block.transactions]
    elif details == "accounts":
        body["transactions"] = [accounts_only(each, most_version) for each in block.transactions]
    elif details == "signatures":
        body["signatures"] = [each.signature for each in block.transactions]
    elif details != "none":
        raise invalid(f"unknown variant `{details}`, expected one of `full`, `signatures`, `none`, `accounts`")
    return body | ({"rewards": []} if rewards else {})


def signature_json(landed: Landed, status: str) -> dict[str, Any]:
    """A line of `getSignaturesForAddress`."""
    return {
        "signature": landed.signature,
        "slot": landed.slot,
        "err": landed.error,
        "memo": memo_of(landed),
        "blockTime": landed.time,
        "confirmationStatus": status,
    }


def memo_of(landed: Landed) -> str | None:
    """The notes in a transaction, each after its length in bytes."""
    notes = [bytes(each.data) for each in calls_of(landed, MEMO_PROGRAM)]
    return "; ".join(f"[{len(note)}] {note.decode()}" for note in notes) or None


def calls_of(landed: Landed, program: Pubkey) -> Iterable[CompiledInstruction]:
    """The instructions of a transaction that call a program themselves."""
    instructions: Sequence[CompiledInstruction] = landed.transaction.message.instructions
    return (each for each in instructions if landed.keys[each.program_id_index] == program)
