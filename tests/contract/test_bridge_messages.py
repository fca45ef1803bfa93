"""Messages of bridges, as their own contracts on a node make and accept them: what is read of them, and that nothing else is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest
from eth_utils.crypto import keccak

from aggregator.audit.message_verifier import Bridge, Fault, Judged, Trust, judged
from chains.evm.evidence.headers import encodings
from chains.evm.evidence.receipts import Receipt, values_of
from chains.evm.evidence.trie import list_proof
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import MissingPart
from tests.devnet.evm.bridges import LayerZero, Ramp, Wormhole
from tests.devnet.evm.ledger import Ledger
from tests.support.hermes import GUARDIANS, KEYS, OTHERS

ADMIN, OWNER = "0x" + "ad" * 20, "0x" + "11" * 20
NORTH, SOUTH = "eip155:1", "eip155:10"
USD = f"{SOUTH}/erc20:0x" + "0b" * 20
SETS = {0: (list(GUARDIANS.addresses), None)}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    try:
        with anvil(chain_id=31337) as node:
            found = Ledger(node)
            found.enrich([ADMIN])
            yield found
    except MissingPart as missing:
        pytest.skip(str(missing))


def wide(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def row(**said: object) -> Row:
    usual = {
        "source_chain": NORTH, "destination_chain": SOUTH, "asset": USD, "decimals": 6,
        "sender": f"{NORTH}:{ADMIN}", "recipient": f"{SOUTH}:{OWNER}", "sent_at": 0, "state": "sent",
    }  # fmt: skip
    return usual | said


def receipt_in(ledger: Ledger) -> Row:
    """What proves the only log of the last block."""
    header = ledger.node.header()
    said = ledger.node.call("eth_getBlockReceipts", header["number"])
    receipts = msgspec.convert(said, list[Receipt], strict=False)
    raw = next(each for each in encodings(header) if keccak(each).hex() == header["hash"][2:])
    values = values_of(receipts, bytes.fromhex(header["receiptsRoot"][2:]))
    assert values is not None
    nodes = [f"0x{node.hex()}" for node in list_proof(values, len(values) - 1)]
    return {"header": f"0x{raw.hex()}", "receipt": len(values) - 1, "log": 0, "nodes": nodes}


def there(ledger: Ledger) -> Any:
    """What the chain itself says of blocks."""

    def known(chain: str, number: int, hashed: bytes) -> bool:
        assert chain == SOUTH
        if ledger.node.header(number)["hash"] != "0x" + hashed.hex():
            raise Fault("another block")
        return True

    return known


@dataclass
class Case:
    """A message with its row, what proves it, and whom to believe."""

    ledger: Ledger
    row: Row
    evidence: Row
    trust: Trust

    def judged(self, **said: object) -> Judged:
        return judged(self.row | said, self.evidence, self.trust, there(self.ledger))


def vaa(body: bytes, keys: Any = KEYS, count: int = 13) -> bytes:
    digest = keccak(keccak(body))
    signed = b"".join(bytes([at]) + keys[at].sign_msg_hash(digest).to_bytes() for at in range(count))
    return b"\1" + bytes(4) + bytes([count]) + signed + body


@pytest.fixture(scope="module")
def wormhole(ledger: Ledger) -> Case:
    bridge = Wormhole(ledger, ADMIN, [key.public_key.to_address() for key in KEYS], 2)
    body = bridge.transfer(5 * 10**18 + 7, 24, wide(OWNER))
    raw = vaa(body)
    said = ledger.node.eth_call(bridge.core, calldata("parseAndVerifyVM(bytes)", raw))
    parsed, valid, why = decode(
        [
            "(uint8,uint32,uint32,uint16,bytes32,uint64,uint8,bytes,uint32,(bytes32,bytes32,uint8,uint8)[],bytes32)",
            "bool",
            "string",
        ],
        said,
    )
    assert (valid, why) == (True, "")  # the core contract believes it
    via = f"2/{wide(bridge.token).hex()}"
    trust = Trust(
        SETS,
        (
            Bridge("wormhole", NORTH, 2, wide(bridge.bridge), {}),
            Bridge("wormhole", SOUTH, 24, bytes(32), {via: (USD, None)}),
        ),
    )
    said_of = row(
        protocol="wormhole",
        message=f"2/{wide(bridge.bridge).hex()}/{parsed[5]}",
        amount_raw=str(5 * 10**18),  # the bridge drops what is beyond eight decimals
        decimals=18,
        sent_at=parsed[1],
    )
    return Case(ledger, said_of, {"vaa": f"0x{raw.hex()}"}, trust)


@pytest.fixture(scope="module")
def layerzero(ledger: Ledger) -> Case:
    zero = LayerZero(ledger, ADMIN, 101, 102)
    packet = zero.send(wide(OWNER) + (1_500_000).to_bytes(8))
    zero.verify(packet)
    trust = Trust(
        {},
        (
            Bridge("layerzero", NORTH, 101, wide(zero.endpoints[0]), {}),
            Bridge("layerzero", SOUTH, 102, wide(zero.endpoints[1]), {f"102/{wide(zero.receiver).hex()}": (USD, 6)}),
        ),
    )
    said = row(
        protocol="layerzero", message=f"0x{packet[81:113].hex()}", amount_raw=str(1_500_000 * 10**12), decimals=18
    )
    return Case(ledger, said, {"packet": f"0x{packet.hex()}", "verified": receipt_in(ledger)}, trust)


@pytest.fixture(scope="module")
def ccip(ledger: Ledger) -> Case:
    ramp, pool = Ramp(ledger, ADMIN), wide("0x" + "99" * 20)
    tokens = [(pool, "0x" + "0b" * 20, 90_000, (18).to_bytes(32), 25 * 10**17)]
    message = ((b"\x07" * 32, 5009, 3734, 41, 0), wide(ADMIN), b"hello", OWNER, 200_000, tokens)
    others = [b"\xee" * 32, b"\x01" * 32]
    raw = ramp.commit(message, wide("0x" + "88" * 20), others)
    trust = Trust(
        {},
        (
            Bridge("ccip", NORTH, 5009, bytes(32), {}),
            Bridge("ccip", SOUTH, 3734, wide(ramp.address), {f"5009/{pool.hex()}": (USD, None)}),
        ),
    )
    evidence = {
        "message": f"0x{raw.hex()}",
        "proofs": [f"0x{other.hex()}" for other in others],
        "committed": receipt_in(ledger),
    }
    said = row(protocol="ccip", message="0x" + "07" * 32, amount_raw="2500000")
    return Case(ledger, said, evidence, trust)


@pytest.fixture(params=["wormhole", "layerzero", "ccip"])
def case(request: pytest.FixtureRequest) -> Case:
    return cast("Case", request.getfixturevalue(request.param))


def test_what_the_contracts_believe_is_of_grade_b(case: Case) -> None:
    found = case.judged()

    assert (found.grade, found.doubts, found.unnamed) == ("B", (), ())


@pytest.mark.parametrize(
    "said",
    [
        {"amount_raw": "1"},
        {"recipient": f"{SOUTH}:{ADMIN}"},
        {"message": "0x" + "00" * 32},
        {"source_chain": "eip155:5"},
        {"destination_chain": "eip155:5"},
        {"asset": f"{SOUTH}/erc20:0x" + "0c" * 20},
    ],
)
def test_of_anything_else_it_is_no_evidence(case: Case, said: Row) -> None:
    with pytest.raises(Fault):
        case.judged(**said)


def test_whom_nobody_named_is_no_proof(case: Case) -> None:
    found = judged(case.row, case.evidence, Trust({}, ()), there(case.ledger))

    assert found.grade == "D"
    assert "configured" in found.why


def test_a_block_that_is_not_known_is_no_proof(layerzero: Case, ccip: Case) -> None:
    for case in (layerzero, ccip):
        found = judged(case.row, case.evidence, case.trust, lambda *_: False)
        assert (found.grade, "is not known here" in found.why) == ("D", True)


def test_what_the_destination_never_accepted_is_no_proof(layerzero: Case, ccip: Case) -> None:
    for case, name in ((layerzero, "verified"), (ccip, "committed")):
        alone = {key: value for key, value in case.evidence.items() if key != name}
        assert judged(case.row, alone, case.trust, there(case.ledger)).grade == "D"


def test_a_log_of_another_contract_is_not_believed(layerzero: Case, ccip: Case) -> None:
    for case in (layerzero, ccip):
        others = tuple(each._replace(address=wide(ADMIN)) for each in case.trust.bridges)
        with pytest.raises(Fault, match="not who is believed"):
            judged(case.row, case.evidence, Trust({}, others), there(case.ledger))


def test_a_root_without_the_message_is_not_believed(ccip: Case) -> None:
    spoilt = ccip.evidence | {"proofs": ["0x" + "ef" * 32, ccip.evidence["proofs"][1]]}

    with pytest.raises(Fault, match="no root"):
        judged(ccip.row, spoilt, ccip.trust, there(ccip.ledger))


@pytest.mark.parametrize("keys,count,why", [(KEYS, 12, "12 of 19"), (OTHERS, 13, "is not that of guardian")])
def test_too_few_guardians_and_strangers_are_not_believed(wormhole: Case, keys: Any, count: int, why: str) -> None:
    body = bytes.fromhex(wormhole.evidence["vaa"][2:])[6 + 13 * 66 :]

    with pytest.raises(Fault, match=why):
        judged(wormhole.row, {"vaa": "0x" + vaa(body, keys, count).hex()}, wormhole.trust, there(wormhole.ledger))


def test_every_flipped_bit_of_the_message_is_found(case: Case) -> None:
    """Of what the bridge made, a byte in every seven: it does not say this any more."""
    name = next(iter(case.evidence))
    raw = bytearray.fromhex(case.evidence[name][2:])
    first = 6 + 13 * 66 if name == "vaa" else 0
    for place in range(first, len(raw), 7):
        raw[place] ^= 1
        with pytest.raises(Fault):
            judged(case.row, case.evidence | {name: f"0x{raw.hex()}"}, case.trust, there(case.ledger))
        raw[place] ^= 1


def test_evidence_that_is_no_message_is_refused_by_name(case: Case) -> None:
    for spoilt in ({}, dict.fromkeys(case.evidence, "0x00"), dict.fromkeys(case.evidence, 7)):
        with pytest.raises(Fault):
            judged(case.row, json.loads(json.dumps(spoilt)), case.trust, there(case.ledger))
