"""A node that serves a recorded Solana chain over JSON-RPC on loopback, up to a head that can be moved."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from crossmargin.demo.node import INVALID_PARAMS, RpcError, RpcNode
from crossmargin.demo.recording import NotRecorded, RpcObject
from crossmargin.demo.solana_recording import SolanaRecording

SKIPPED = -32009
NOT_AVAILABLE = -32004
UNSUPPORTED_VERSION = -32015
MIN_CONTEXT_SLOT = -32016
PAGE = 1_000
ACCOUNTS_AT_ONCE = 100
LEGACY = "legacy"


class SolanaReplayNode(RpcNode):
    """Serves `recording` at `url` within its async context; knows nothing above its head, the newest finalised slot."""

    def __init__(self, recording: SolanaRecording, *, head: int | None = None) -> None:
        super().__init__(
            {
                "getGenesisHash": lambda _: recording.genesis_hash,
                "getHealth": lambda _: "ok",
                "getFirstAvailableBlock": lambda _: recording.first,
                "getSlot": lambda _: self.head,
                "getBlock": self._block,
                "getBlocks": self._blocks,
                "getBlocksWithLimit": self._blocks_with_limit,
                "getSignaturesForAddress": self._signatures,
                "getSignatureStatuses": self._statuses,
                "getTransaction": self._transaction,
                "getMultipleAccounts": self._accounts,
            }
        )
        self.recording = recording
        self.head = recording.last if head is None else head
        self._slots = sorted(recording.blocks)
        self._in_slot: dict[int, list[str]] = {}
        for signature, result in recording.transactions.items():
            self._in_slot.setdefault(result["slot"], []).append(signature)

    def set_head(self, number: int) -> None:
        """Move the head, forward or back."""
        if number not in self.recording.blocks:
            raise ValueError(f"{self.recording.label} has no block in slot {number}")
        self.head = number

    def _block(self, params: Sequence[Any]) -> RpcObject:
        slot, details = int(params[0]), _options(params, 1).get("transactionDetails") or "full"
        if slot > self.head:
            raise RpcError(NOT_AVAILABLE, f"Block not available for slot {slot}")
        if slot not in self.recording.blocks:
            raise RpcError(SKIPPED, f"Slot {slot} was skipped, or missing in long-term storage")
        if details not in {"none", "signatures"}:
            raise NotRecorded(f"the recording has no block with details {details}; ask for signatures or none")
        said = self.recording.blocks[slot]
        header = {key: value for key, value in said.items() if key not in {"slot", "signatures"}}
        if details == "none":
            return header
        return header | {"signatures": said.get("signatures", self._in_slot.get(slot, []))}

    def _blocks(self, params: Sequence[Any]) -> list[int]:
        last = int(params[1]) if len(params) > 1 and isinstance(params[1], int) else self.head
        first, last = int(params[0]), min(last, self.head)
        return self._slots[bisect_left(self._slots, first) : bisect_right(self._slots, last)]

    def _blocks_with_limit(self, params: Sequence[Any]) -> list[int]:
        return self._blocks([params[0]])[: int(params[1])]

    def _signatures(self, params: Sequence[Any]) -> list[RpcObject]:
        address, options = params[0], _options(params, 1)
        self._must_be_at(options)
        limit = PAGE if options.get("limit") is None else int(options["limit"])
        if not 1 <= limit <= PAGE:
            raise RpcError(INVALID_PARAMS, f"Invalid limit; max {PAGE}")
        if address not in self.recording.signatures:
            raise NotRecorded(f"the recording has no signatures of {address}")
        known = [item for item in self.recording.signatures[address] if item["slot"] <= self.head]
        names = [item["signature"] for item in known]
        before, until = options.get("before"), options.get("until")
        if before is not None and before not in names:
            return []
        start = names.index(before) + 1 if before is not None else 0
        end = names.index(until) if until in names else len(names)
        return known[start:end][:limit]

    def _statuses(self, params: Sequence[Any]) -> RpcObject:
        found = [self._known(signature) for signature in params[0]]
        return {
            "context": {"slot": self.head},
            "value": [None if result is None else _status(result) for result in found],
        }

    def _transaction(self, params: Sequence[Any]) -> RpcObject | None:
        options = _options(params, 1)
        _must_be_encoded(options, "json")
        result = self._known(params[0])
        version = LEGACY if result is None else result.get("version", LEGACY)
        if version != LEGACY and options.get("maxSupportedTransactionVersion") is None:
            raise RpcError(
                UNSUPPORTED_VERSION, f"Transaction version ({version}) is not supported by the requesting client"
            )
        return result

    def _known(self, signature: str) -> RpcObject | None:
        result = self.recording.transactions.get(signature)
        return None if result is None or result["slot"] > self.head else result

    def _accounts(self, params: Sequence[Any]) -> RpcObject:
        options = _options(params, 1)
        self._must_be_at(options)
        _must_be_encoded(options, "base64")
        if len(params[0]) > ACCOUNTS_AT_ONCE:
            raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {ACCOUNTS_AT_ONCE}")
        value = [self.recording.account(address, self.head) for address in params[0]]
        return {"context": {"slot": self.head}, "value": value}

    def _must_be_at(self, options: Mapping[str, Any]) -> None:
        if int(options.get("minContextSlot") or 0) > self.head:
            raise RpcError(MIN_CONTEXT_SLOT, "Minimum context slot has not been reached", {"contextSlot": self.head})


def _options(params: Sequence[Any], at: int) -> Mapping[str, Any]:
    given = params[at] if len(params) > at else None
    return given if isinstance(given, dict) else {}


def _must_be_encoded(options: Mapping[str, Any], recorded: str) -> None:
    """Refuse what was not recorded; a node's own answer to no encoding differs from method to method, and is not recorded either."""
    wanted = options.get("encoding")
    if wanted != recorded:
        raise NotRecorded(f"the recording has this as {recorded} alone, not as {wanted}")


def _status(result: RpcObject) -> RpcObject:
    error = result["meta"]["err"]
    return {
        "slot": result["slot"],
        "confirmations": None,
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "confirmationStatus": "finalized",
    }
