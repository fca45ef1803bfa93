"""Transactions that were recorded elsewhere, in the form of `getTransaction`, as the ledger keeps its own: they are not run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageAddressTableLookup, MessageHeader, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from tests.devnet.solana import base58
from tests.devnet.solana.blocks import Landed, Moment, TokenBalance

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Within:
    """An instruction that ran within another, as the engine tells of its own."""

    compiled: CompiledInstruction
    height: int

    def instruction(self) -> CompiledInstruction:
        return self.compiled

    def stack_height(self) -> int:
        return self.height


def landed_of(said: Json, *, slot: int, index: int, time: int) -> Landed:
    """A recorded transaction at a place of the ledger's own."""
    meta, message = said["meta"], said["transaction"]["message"]
    loaded = meta.get("loadedAddresses", {"writable": [], "readonly": []})
    writable, readonly = (tuple(map(Pubkey.from_string, loaded[kind])) for kind in ("writable", "readonly"))
    signatures = [Signature.from_string(text) for text in said["transaction"]["signatures"]]
    return Landed(
        signature=str(signatures[0]),
        slot=slot,
        index=index,
        time=time,
        transaction=VersionedTransaction.populate(_message(message, said["version"]), signatures),
        keys=(*map(Pubkey.from_string, message["accountKeys"]), *writable, *readonly),
        loaded_writable=writable,
        loaded_readonly=readonly,
        before=_moment(meta["preBalances"], meta["preTokenBalances"]),
        after=_moment(meta["postBalances"], meta["postTokenBalances"]),
        error=meta["err"],
        fee=meta["fee"],
        compute_units=meta["computeUnitsConsumed"],
        logs=tuple(meta["logMessages"]),
        inner=_inner(meta, len(message["instructions"])),
        return_program=None,
        return_bytes=b"",
    )


def _message(said: Json, version: str | int) -> Message | MessageV0:
    header = MessageHeader(
        said["header"]["numRequiredSignatures"],
        said["header"]["numReadonlySignedAccounts"],
        said["header"]["numReadonlyUnsignedAccounts"],
    )
    keys = [Pubkey.from_string(text) for text in said["accountKeys"]]
    blockhash = Hash.from_string(said["recentBlockhash"])
    instructions = [_compiled(each) for each in said["instructions"]]
    if version == "legacy":
        return Message.new_with_compiled_instructions(
            header.num_required_signatures,
            header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts,
            keys,
            blockhash,
            instructions,
        )
    lookups = [
        MessageAddressTableLookup(
            Pubkey.from_string(each["accountKey"]), bytes(each["writableIndexes"]), bytes(each["readonlyIndexes"])
        )
        for each in said.get("addressTableLookups", ())
    ]
    return MessageV0(header, keys, blockhash, instructions, lookups)


def _compiled(said: Json) -> CompiledInstruction:
    return CompiledInstruction(said["programIdIndex"], base58.decode(said["data"]), bytes(said["accounts"]))


def _inner(meta: Json, outer: int) -> Any:
    groups = {group["index"]: group["instructions"] for group in meta["innerInstructions"]}
    return tuple(
        tuple(Within(_compiled(each), each["stackHeight"]) for each in groups.get(place, ())) for place in range(outer)
    )


def _moment(lamports: Sequence[int], tokens: Sequence[Json]) -> Moment:
    return Moment(lamports=tuple(lamports), tokens=tuple(map(_balance, tokens)))


def _balance(said: Json) -> TokenBalance:
    return TokenBalance(
        index=said["accountIndex"],
        mint=Pubkey.from_string(said["mint"]),
        owner=Pubkey.from_string(said["owner"]),
        program=Pubkey.from_string(said["programId"]),
        amount=int(said["uiTokenAmount"]["amount"]),
        decimals=said["uiTokenAmount"]["decimals"],
    )
