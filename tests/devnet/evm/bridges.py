"""Bridges' own contracts from their packages: Wormhole's core and token bridge, LayerZero's endpoint, CCIP's hashes and roots."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode

from tests.devnet.evm.abi import calldata, topic
from tests.devnet.evm.artifacts import INSTALL_HINT, MODULES, MissingPart, own_bytecode, package_bytecode
from tests.devnet.evm.ledger import Ledger, invoke

FACTORIES = Path("@certusone/wormhole-sdk/lib/cjs/ethers-contracts/factories")
ENDPOINT = Path("@layerzerolabs/lz-evm-protocol-v2/artifacts/contracts")
YES = "0x69600160005260206000f3600052600a6016f3"
"""A contract that answers 1 to everything."""
GOVERNANCE = (4).to_bytes(32)
PUBLISHED = topic("LogMessagePublished(address,uint64,uint32,bytes,uint8)")
PACKET_SENT = topic("PacketSent(bytes,bytes,address)")


def _text(path: Path) -> str:
    if not (MODULES / path).exists():
        raise MissingPart(f"{path.name} is not there: {INSTALL_HINT}")
    return (MODULES / path).read_text()


def wormhole(name: str) -> str:
    """Creation code of a contract of Wormhole."""
    found = re.search(r'_bytecode = "(0x[0-9a-f]+)"', _text(FACTORIES / f"{name}__factory.js"))
    assert found is not None
    return found[1]


def layerzero(name: str, folder: str = "") -> str:
    """Creation code of a contract of LayerZero."""
    return str(json.loads(_text(ENDPOINT / folder / f"{name}.sol" / f"{name}.json"))["bytecode"])


def logs(ledger: Ledger, wanted: str) -> list[dict[str, Any]]:
    """The logs of an event in the last block."""
    return list(ledger.node.call("eth_getLogs", {"fromBlock": "latest", "toBlock": "latest", "topics": [wanted]}))


class Wormhole:
    """The core contract with its guardians, and a token bridge that has emitted one transfer of a token of its own chain."""

    def __init__(self, ledger: Ledger, admin: str, guardians: Sequence[str], chain: int) -> None:
        self._ledger, self._admin = ledger, admin
        setup = calldata(
            "setup(address,address[],uint16,uint16,bytes32,uint256)",
            ledger.deploy(admin, wormhole("Implementation")),
            guardians,
            chain,
            1,
            GOVERNANCE,
            31337,
        )
        self.core = self._proxy("Wormhole", "Setup", setup)
        bridge = calldata(
            "setup(address,uint16,address,uint16,bytes32,address,address,uint8,uint256)",
            ledger.deploy(admin, wormhole("BridgeImplementation")),
            chain,
            self.core,
            1,
            GOVERNANCE,
            ledger.deploy(admin, wormhole("TokenImplementation")),
            admin,
            1,
            31337,
        )
        self.bridge = self._proxy("TokenBridge", "BridgeSetup", bridge)
        self.token = ledger.deploy(admin, own_bytecode("Token"), ["string", "uint8", "uint256"], ["COIN", 18, 0])

    def _proxy(self, name: str, setup: str, call: str) -> str:
        first = self._ledger.deploy(self._admin, wormhole(setup))
        return self._ledger.deploy(self._admin, wormhole(name), ["address", "bytes"], [first, bytes.fromhex(call[2:])])

    def transfer(self, amount: int, chain: int, recipient: bytes) -> bytes:
        """The body of the message by which the bridge tells a transfer."""
        ledger, admin = self._ledger, self._admin
        ledger.do(
            invoke(admin, self.token, "mint(address,uint256)", admin, amount),
            invoke(admin, self.token, "approve(address,uint256)", self.bridge, amount),
        )
        signature = "transferTokens(address,uint256,uint16,bytes32,uint256,uint32)"
        ledger.do(invoke(admin, self.bridge, signature, self.token, amount, chain, recipient, 0, 7))
        (log,) = logs(ledger, PUBLISHED)
        sequence, nonce, payload, finality = decode(
            ["uint64", "uint32", "bytes", "uint8"], bytes.fromhex(log["data"][2:])
        )
        time = int(ledger.node.header()["timestamp"], 16)
        emitter = bytes.fromhex(log["topics"][1][2:])
        return bytes(
            time.to_bytes(4) + nonce.to_bytes(4) + (2).to_bytes(2) + emitter + sequence.to_bytes(8)
            + bytes([finality]) + payload
        )  # fmt: skip


class LayerZero:
    """Two endpoints with the library that verifies whatever it is given."""

    def __init__(self, ledger: Ledger, admin: str, here: int, there: int) -> None:
        self._ledger, self._admin, self.there = ledger, admin, there
        self.endpoints, self._libraries = [], []
        for own, other in ((here, there), (there, here)):
            endpoint = ledger.deploy(admin, layerzero("EndpointV2"), ["uint32", "address"], [own, admin])
            library = ledger.deploy(
                admin, layerzero("SimpleMessageLib", "messagelib"), ["address", "address"], [endpoint, admin]
            )
            ledger.do(
                invoke(admin, endpoint, "registerLibrary(address)", library),
                invoke(admin, endpoint, "setDefaultSendLibrary(uint32,address)", other, library),
                invoke(admin, endpoint, "setDefaultReceiveLibrary(uint32,address,uint256)", other, library, 0),
            )
            self.endpoints.append(endpoint)
            self._libraries.append(library)
        self.receiver = ledger.deploy(admin, YES)

    def send(self, message: bytes) -> bytes:
        """The packet that the one endpoint sends to the other."""
        signature = "send((uint32,bytes32,bytes,bytes,bool),address)"
        words = (self.there, bytes.fromhex(self.receiver[2:]).rjust(32, b"\0"), message, b"", False)
        self._ledger.do(invoke(self._admin, self.endpoints[0], signature, words, self._admin, value=100))
        (log,) = logs(self._ledger, PACKET_SENT)
        return bytes(decode(["bytes", "bytes", "address"], bytes.fromhex(log["data"][2:]))[0])

    def verify(self, packet: bytes) -> None:
        """Let the other endpoint accept it, in a block of its own."""
        self._ledger.do(invoke(self._admin, self._libraries[1], "validatePacket(bytes)", packet))


MESSAGE = "((bytes32,uint64,uint64,uint64,uint64),bytes,bytes,address,uint256,(bytes,address,uint32,bytes,uint256)[])"


class Ramp:
    """CCIP's own hash of a message and root of hashes, and its report of them."""

    def __init__(self, ledger: Ledger, admin: str) -> None:
        self._ledger, self._admin = ledger, admin
        self.address = ledger.deploy(admin, package_bytecode("./messages/Ramp.sol")["Ramp"])

    def commit(self, message: tuple[Any, ...], on_ramp: bytes, others: Sequence[bytes]) -> bytes:
        """Commit a root that has a message, in a block of its own; the message as CCIP encodes it."""
        signature = f"commit({MESSAGE},bytes,bytes32[])"
        self._ledger.do(invoke(self._admin, self.address, signature, message, on_ramp, others))
        return encode([MESSAGE], [message])
