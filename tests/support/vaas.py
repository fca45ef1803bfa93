"""Transfers as Wormhole's token bridge tells them, signed by the guardians of the tests, with what is said of them and whom to believe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from aggregator.audit.message_verifier import Bridge, Trust
from tests.support.hermes import GUARDIANS, KEYS

NORTH, SOUTH = "eip155:1", "eip155:10"
OWNER = "0x1111111111111111111111111111111111111111"
USD = f"{SOUTH}/erc20:0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"
BRIDGE, HOME = bytes(12) + b"\xb2" * 20, bytes(12) + b"\xa0" * 20
SENT_AT = 1_763_996_400
TRUST = Trust(
    {GUARDIANS.number: (list(GUARDIANS.addresses), None)},
    (
        Bridge("wormhole", NORTH, 2, BRIDGE, {}),
        Bridge("wormhole", SOUTH, 24, bytes(32), {f"2/{HOME.hex()}": (USD, None)}),
    ),
)
SAID = {
    "protocol": "wormhole",
    "message": f"2/{BRIDGE.hex()}/7",
    "source_chain": NORTH,
    "destination_chain": SOUTH,
    "asset": USD,
    "amount_raw": "1500000000",
    "decimals": "6",
    "sender": f"{NORTH}:{OWNER}",
    "recipient": f"{SOUTH}:{OWNER}",
    "sent_at": "2025-11-24T15:00:00Z",
    "source_tx": "0x" + "ab" * 32,
    "state": "sent",
}


def evidence(
    *, amount: int = 1_500_000_000, keys: Sequence[PrivateKey] = KEYS, finality: int = 1, sent_at: int = SENT_AT
) -> str:
    """The evidence of `SAID`, as it is imported."""
    owner = bytes(12) + bytes.fromhex(OWNER[2:])
    payload = b"\1" + amount.to_bytes(32) + HOME + (2).to_bytes(2) + owner + (24).to_bytes(2) + bytes(32)
    body = sent_at.to_bytes(4) + bytes(4) + (2).to_bytes(2) + BRIDGE + (7).to_bytes(8) + bytes([finality]) + payload
    digest = keccak(keccak(body))
    signed = b"".join(bytes([at]) + keys[at].sign_msg_hash(digest).to_bytes() for at in range(13))
    raw = b"\1" + GUARDIANS.number.to_bytes(4) + b"\x0d" + signed + body
    return json.dumps({"vaa": f"0x{raw.hex()}"})


def row(**said: Any) -> dict[str, Any]:
    """What somebody imports, with its evidence."""
    return SAID | {"evidence": evidence()} | said
