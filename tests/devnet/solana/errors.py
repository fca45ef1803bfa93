"""What a node answers when it does not answer."""

from __future__ import annotations

from typing import Any, Self

BLOCK_CLEANED_UP = -32_001
PREFLIGHT_FAILURE = -32_002
BLOCK_NOT_AVAILABLE = -32_004
NODE_UNHEALTHY = -32_005
SLOT_SKIPPED = -32_007
LONG_TERM_STORAGE_SLOT_SKIPPED = -32_009
UNSUPPORTED_VERSION = -32_015
MIN_CONTEXT_SLOT_NOT_REACHED = -32_016
PARSE_ERROR = -32_700
INVALID_REQUEST = -32_600
METHOD_NOT_FOUND = -32_601
INVALID_PARAMS = -32_602


class RpcError(Exception):
    """An error in JSON-RPC dress."""

    def __init__(self, code: int, message: str, extra: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.extra = extra

    def to_json(self) -> dict[str, Any]:
        """The `error` of an answer."""
        body = {"code": self.code, "message": self.message}
        return body if self.extra is None else body | {"data": self.extra}

    @classmethod
    def cleaned_up(cls, slot: int, first: int) -> Self:
        message = f"Block {slot} cleaned up, does not exist on node. First available block: {first}"
        return cls(BLOCK_CLEANED_UP, message)

    @classmethod
    def not_available(cls, slot: int) -> Self:
        return cls(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")

    @classmethod
    def skipped(cls, slot: int, *, long_term_storage: bool) -> Self:
        if long_term_storage:
            message = f"Slot {slot} was skipped, or missing in long-term storage"
            return cls(LONG_TERM_STORAGE_SLOT_SKIPPED, message)
        return cls(SLOT_SKIPPED, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")

    @classmethod
    def behind(cls, slots: int | None) -> Self:
        message = "Node is unhealthy" if slots is None else f"Node is behind by {slots} slots"
        return cls(NODE_UNHEALTHY, message, {"numSlotsBehind": slots})

    @classmethod
    def unsupported_version(cls, version: int | str) -> Self:
        hint = 'Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": 0'
        message = f"Transaction version ({version}) is not supported by the requesting client. {hint}"
        return cls(UNSUPPORTED_VERSION, message)

    @classmethod
    def context_slot(cls, slot: int) -> Self:
        message = "Minimum context slot has not been reached"
        return cls(MIN_CONTEXT_SLOT_NOT_REACHED, message, {"contextSlot": slot})

    @classmethod
    def unknown_method(cls) -> Self:
        return cls(METHOD_NOT_FOUND, "Method not found")


def invalid(message: str) -> RpcError:
    """Parameters that make no sense."""
    return RpcError(INVALID_PARAMS, message)


def too_long_for_base58(most: int) -> RpcError:
    """An account that only base64 can write."""
    hint = f"Encoded binary (base 58) data should be less than {most} bytes, please use Base64 encoding."
    return RpcError(INVALID_REQUEST, hint)
