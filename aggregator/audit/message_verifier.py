"""Verifies the messages of bridges in a snapshot. Needs Python 3.11, `verify_state.py` and `verify_prices.py` beside it, and nothing else.

    python verify_messages.py SNAPSHOT [--trust FILE] [--json]

Each line of `messages` is something that left one chain and had not arrived at the cut. Where it has evidence, that is followed: a message
of Wormhole to who signed it, a packet of LayerZero and a message of CCIP to the log by which the destination accepted it; and what is said
of it (who gets how much of what, and where) must be what it says. FILE names whom you trust:

    {"guardian_sets": [{"index": 4, "addresses": ["0x…"], "until": null}],
     "bridges": [{"protocol": "wormhole", "chain": "eip155:1", "number": 2, "address": "0x…", "tokens": [{"via": "2/0x…", "asset": "…"}]}]}

Without it nobody looks who signed or accepted. It is for a snapshot whose files `verify.py` found to be what the manifest says.

Sources: Wormhole's whitepapers (VAA, token bridge payloads 1 and 3), LayerZero v2 `PacketV1Codec`, `GUID`, `EndpointV2.verify` and
`OFTMsgCodec`, CCIP 1.6 `Internal._hash`, `MerkleMultiProof` and `OffRamp`.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import struct
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple


def _beside() -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location("verify_prices", Path(__file__).with_name("verify_prices.py"))
    if spec is None or spec.loader is None:
        raise ImportError("verify_prices.py must be beside this script")
    sys.dont_write_bytecode = True  # the folder is to stay as it was signed
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_prices"] = module
    spec.loader.exec_module(module)
    return module


prices: Any = import_module("aggregator.audit.price_verifier") if __package__ else _beside()
Fault: type[Exception] = prices.Fault
keccak: Callable[[bytes], bytes] = prices.state.keccak

MESSAGES = "messages"
WORMHOLE, LAYERZERO, CCIP = "wormhole", "layerzero", "ccip"
SIGNED, SAID = "B", "D"
"""Grades: proven by who signed it or by the destination's own log, or somebody's word."""

UNREADABLE = (
    Fault,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)
SOLANA = "solana:"
WORD = 32
MOST_DECIMALS = 255
"""Those of a token are a byte."""


Json = dict[str, Any]
Known = Callable[[str, int, bytes], bool]
"""Whether a block of a chain, by number and hash, is known to be there; raises `Fault` where another one is."""


class Bridge(NamedTuple):
    """What a bridge is on one chain: the bridge's own `number` of the chain, and the contract that is believed, in 32 bytes.

    `address`: who emits for Wormhole's token bridge, LayerZero's endpoint, CCIP's off-ramp. `tokens`: by what a message names (NUMBER/hex:
    of Wormhole the token where it is at home, of LayerZero the OFT that receives, of CCIP the pool it came from) → the asset that arrives,
    and the decimals in which an OFT speaks of it.
    """

    protocol: str
    chain: str
    number: int
    address: bytes
    tokens: Mapping[str, tuple[str, int | None]]


class Trust(NamedTuple):
    """Whom to believe: guardian sets by number, and bridges."""

    guardians: Mapping[int, tuple[Sequence[bytes], int | None]]
    bridges: Sequence[Bridge]

    def of_number(self, protocol: str, number: int) -> Bridge | None:
        found = [each for each in self.bridges if (each.protocol, each.number) == (protocol, number)]
        return found[0] if found else None


NOBODY = Trust({}, ())


class Judged(NamedTuple):
    """How sure a message is, and why no surer: what is doubted, what `Trust` does not name; `words`: what an import alone says."""

    doubts: tuple[str, ...]
    unnamed: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def grade(self) -> str:
        return SAID if self.doubts or self.unnamed else SIGNED

    @property
    def why(self) -> str:
        return "; ".join(self.doubts + self.unnamed + self.words)


@dataclass(slots=True)
class Checked:
    """What came of it: what is wrong, and what has to be known beside it."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judged(row: Json, evidence: Json | None, trust: Trust, known: Known) -> Judged:
    """Say how sure a message is by its evidence; raises `Fault` where that is of another message, or is not believed.

    `row`: what is said of it, see `aggregator.audit.messages`. What `trust` does not name is a doubt, and no fault.
    """
    if evidence is None:
        return Judged(("there is no evidence",))
    ways = {WORMHOLE: _wormhole, LAYERZERO: _layerzero, CCIP: _ccip}
    if row["protocol"] not in ways:
        raise Fault(f"evidence is followed of {', '.join(ways)}, and this is of {row['protocol']}")
    trial = _Trial(trust, known, [], [], [])
    try:
        _decimals(row["decimals"])
        ways[row["protocol"]](row, evidence, trial)
    except UNREADABLE as error:
        raise error if isinstance(error, Fault) else Fault(f"malformed: {type(error).__name__} {error}") from error
    return Judged(tuple(trial.doubts), tuple(trial.unnamed), tuple(trial.words))


class _Trial(NamedTuple):
    """Who is believed and which blocks are known; what is doubted so far, what `trust` does not name, what is an import's word.

    What is an import's word alone changes neither what arrives nor for whom.
    """

    trust: Trust
    known: Known
    doubts: list[str]
    unnamed: list[str]
    words: list[str]

    def place(self, protocol: str, number: int, chain: str) -> Bridge | None:
        """Return the bridge on a chain by its own number, which must be that chain's; raises `Fault`."""
        bridge = self.trust.of_number(protocol, number)
        if bridge is None:
            self.unnamed.append(f"which chain is number {number} of {protocol} is not configured")
        elif bridge.chain != chain:
            raise Fault(f"it is of {bridge.chain}, not of {chain}")
        return bridge

    def asset(self, bridge: Bridge | None, via: str, row: Json) -> int | None:
        """See that what arrives is the asset; returns the decimals in which an OFT speaks; raises `Fault`."""
        found = bridge.tokens.get(via) if bridge else None
        if found is None:
            self.unnamed.append(f"that {via} arrives as {row['asset']} is not configured")
            return None
        if found[0] != row["asset"]:
            raise Fault(f"{found[0]} arrives, not {row['asset']}")
        return found[1]

    def log(self, receipt: Json | None, bridge: Bridge | None, topic: bytes, chain: str) -> bytes | None:
        """Return the data of the log by which the destination accepted a message, if that is known; raises `Fault`."""
        if receipt is None:
            self.doubts.append("nothing says that the destination accepted it")
            return None
        number = int.from_bytes(prices.state.decoded(_bytes(receipt["header"]))[prices.NUMBER])
        header, (address, topics, data) = prices.log_at(receipt, number)
        if topics[0] != topic:
            raise Fault("the log is not the one by which a destination accepts a message")
        if bridge is not None and _padded(address) != bridge.address:
            raise Fault(f"0x{address.hex()} told the log, which is not who is believed")
        if not self.known(chain, number, keccak(header)):
            self.doubts.append(f"block {number} of {chain} is not known here")
        return bytes(data)


# -- Wormhole ---------------------------------------------------------------------------------------------------------

TRANSFER, WITH_PAYLOAD = 1, 3
LEAST = 8
"""Decimals beyond which the token bridge drops digits."""
UNSETTLED = {200, 201}
"""Consistency levels of EVM chains that wait for no finality."""
SOLANA_FINAL = 32


def _wormhole(row: Json, evidence: Json, trial: _Trial) -> None:
    vaa = prices.vaa_in(_bytes(evidence["vaa"]))
    if row["message"].lower().replace("0x", "") != f"{vaa.chain}/{vaa.emitter.hex()}/{vaa.sequence}":
        raise Fault(f"the message is {vaa.chain}/{vaa.emitter.hex()}/{vaa.sequence}")
    if trial.trust.guardians:
        prices.signed(vaa, vaa.time, trial.trust.guardians)
    else:
        trial.unnamed.append("no guardian sets are configured, so that nobody looked who signed it")
    source = trial.place(WORMHOLE, vaa.chain, row["source_chain"])
    if source is not None and vaa.emitter != source.address:
        raise Fault("the token bridge that is believed did not emit it")
    if vaa.time != row["sent_at"]:
        raise Fault(f"it was sent at {vaa.time} (Unix seconds), not at {row['sent_at']}")
    final = vaa.finality == SOLANA_FINAL if row["source_chain"].startswith(SOLANA) else vaa.finality not in UNSETTLED
    if not final:
        trial.doubts.append(f"guardians did not wait until it was final (consistency level {vaa.finality})")
    _token_transfer(row, vaa.payload, trial)


def _token_transfer(row: Json, payload: bytes, trial: _Trial) -> None:
    read = prices.Reading(payload)
    kind = read.number(1)
    if kind not in {TRANSFER, WITH_PAYLOAD}:
        raise Fault(f"its payload is of kind {kind}, which transfers nothing")
    amount, token, home = read.number(WORD), read.take(WORD), read.number(2)
    recipient, number, last = read.take(WORD), read.number(2), read.take(WORD)
    if kind == TRANSFER and read.left:
        raise Fault("bytes stand behind its payload")
    if kind == WITH_PAYLOAD and last != _account(row["sender"]):
        raise Fault("another account sent it")
    if kind == TRANSFER:
        trial.words.append("who sent it is not in the message")
    destination = trial.place(WORMHOLE, number, row["destination_chain"])
    fee = int.from_bytes(last) if kind == TRANSFER else 0
    _same_amount(row, max(amount - fee, 0) * 10 ** max(row["decimals"] - LEAST, 0))
    if recipient != _account(row["recipient"]):
        if not row["recipient"].startswith(SOLANA):
            raise Fault("another account receives it")
        trial.doubts.append(f"token account 0x{recipient.hex()} receives it, and whose that is it does not say")
    if destination is not None and home == number and row["asset"].endswith(f":0x{token[12:].hex()}"):
        return
    trial.asset(destination, f"{home}/{token.hex()}", row)


# -- LayerZero --------------------------------------------------------------------------------------------------------

HEADER = struct.Struct(">BQI32sI32s")
VERIFIED = keccak(b"PacketVerified((uint32,bytes32,uint64),address,bytes32)")
OFT = struct.Struct(">32sQ")


def _layerzero(row: Json, evidence: Json, trial: _Trial) -> None:
    packet = _bytes(evidence["packet"])
    version, nonce, source, sender, destination, receiver = HEADER.unpack_from(packet)
    payload = packet[HEADER.size :]
    guid, message = payload[:WORD], payload[WORD:]
    if version != 1:
        raise Fault(f"the packet has version {version}")
    if guid != keccak(packet[1 : HEADER.size]):
        raise Fault("the packet's id is not that of its path and number")
    if row["message"].lower() != f"0x{guid.hex()}":
        raise Fault(f"the message is 0x{guid.hex()}")
    trial.place(LAYERZERO, source, row["source_chain"])
    here = trial.place(LAYERZERO, destination, row["destination_chain"])
    recipient, amount = OFT.unpack_from(message)
    if recipient != _account(row["recipient"]):
        raise Fault("another account receives it")
    shared = trial.asset(here, f"{destination}/{receiver.hex()}", row)
    if shared is not None:
        if row["decimals"] < shared:
            raise Fault(f"an OFT speaks in at most the decimals of its token, {row['decimals']}, not in {shared}")
        _same_amount(row, amount * 10 ** (row["decimals"] - shared))
    data = trial.log(evidence.get("verified"), here, VERIFIED, row["destination_chain"])
    said = b"".join(map(_padded, (source.to_bytes(4), sender, nonce.to_bytes(8), receiver, keccak(payload))))
    if data is not None and data != said:
        raise Fault("the endpoint verified another packet")
    trial.words.append("who sent it and when is not in the packet")


# -- CCIP -------------------------------------------------------------------------------------------------------------

COMMITTED = keccak(
    b"CommitReportAccepted((uint64,bytes,uint64,uint64,bytes32)[],(uint64,bytes,uint64,uint64,bytes32)[],"
    b"((address,uint224)[],(uint64,uint224)[]))"
)
ANY_TO_EVM = keccak(b"Any2EVMMessageHashV1")
LEAF, NODE = bytes(WORD), (1).to_bytes(WORD)
MOST_HASHES = MOST_ROOTS = 256
"""Of a proof and of a report: each root is read out of all that stands behind it, so that many of them take for ever."""


def _ccip(row: Json, evidence: Json, trial: _Trial) -> None:
    body = _at(_bytes(evidence["message"]), 0)
    message_id, source, destination, number = body[:WORD], _uint(body, 1), _uint(body, 2), _uint(body, 3)
    if row["message"].lower() != f"0x{message_id.hex()}":
        raise Fault(f"the message is 0x{message_id.hex()}")
    trial.place(CCIP, source, row["source_chain"])
    here = trial.place(CCIP, destination, row["destination_chain"])
    sender, data, amounts = (_at(body, place) for place in (5, 6, 9))
    if _padded(_text(sender)) != _account(row["sender"]):
        raise Fault("another account sent it")
    if _word(body, 7) != _account(row["recipient"]):
        raise Fault("another account receives it")
    _one_token(row, source, amounts, trial)
    log = trial.log(evidence.get("committed"), here, COMMITTED, row["destination_chain"])
    if log is None:
        return
    inner = message_id + b"".join(_word(body, place) for place in (7, 3, 8, 4))
    parts = keccak(_text(sender)), keccak(_text(data)), keccak(WORD.to_bytes(WORD) + amounts)
    proofs = [_bytes(proof) for proof in evidence.get("proofs", ())]
    for chain, ramp, least, most, root in _roots(log):
        lane = keccak(ANY_TO_EVM + _word(body, 1) + _word(body, 2) + keccak(ramp))
        leaf = keccak(LEAF + lane + keccak(inner) + b"".join(parts))
        if chain == source and least <= number <= most and _root(leaf, proofs) == root:
            trial.words.append("when it was sent is not in the message")
            return
    raise Fault("no root that the off-ramp accepted has it")


def _one_token(row: Json, source: int, amounts: bytes, trial: _Trial) -> None:
    if _uint(amounts, 0) != 1:
        raise Fault(f"it carries {_uint(amounts, 0)} tokens, and one is said")
    token = _at(amounts[WORD:], 0)
    pool, extra = _text(_at(token, 0)), _text(_at(token, 3))
    if not row["asset"].lower().endswith(f":0x{_word(token, 1)[12:].hex()}"):
        raise Fault(f"0x{_word(token, 1)[12:].hex()} arrives, not {row['asset']}")
    trial.asset(trial.trust.of_number(CCIP, _number_of(trial, row)), f"{source}/{_padded(pool).hex()}", row)
    theirs = _decimals(int.from_bytes(extra)) if len(extra) == WORD else row["decimals"]
    shift = row["decimals"] - theirs
    amount = _uint(token, 4)
    _same_amount(row, amount * 10**shift if shift >= 0 else amount // 10**-shift)


def _number_of(trial: _Trial, row: Json) -> int:
    """Return CCIP's number of the chain where it arrives; -1 where that is not configured."""
    chain = row["destination_chain"]
    return next((each.number for each in trial.trust.bridges if (each.protocol, each.chain) == (CCIP, chain)), -1)


def _roots(data: bytes) -> list[tuple[int, bytes, int, int, bytes]]:
    """Return the roots that a report commits, those that the risk network blessed and the others."""
    found = []
    for place in (0, 1):
        several = _at(data, place)
        if (count := _uint(several, 0)) > MOST_ROOTS:
            raise Fault(f"a report commits {count} roots, which is more than is followed")
        for number in range(count):
            root = _at(several[WORD:], number)
            found.append((_uint(root, 0), _text(_at(root, 1)), _uint(root, 2), _uint(root, 3), _word(root, 4)))
    return found


def _root(leaf: bytes, proofs: Sequence[bytes]) -> bytes:
    """Follow one leaf to its root: each pair is hashed the lower first."""
    if len(proofs) > MOST_HASHES:
        raise Fault("its proof is too long")
    for proof in proofs:
        leaf = keccak(NODE + min(leaf, proof) + max(leaf, proof))
    return leaf


# -- words of Solidity, and accounts ----------------------------------------------------------------------------------


def _word(raw: bytes, place: int) -> bytes:
    found = raw[WORD * place : WORD * (place + 1)]
    if len(found) < WORD:
        raise Fault("the message ends too early")
    return found


def _uint(raw: bytes, place: int) -> int:
    return int.from_bytes(_word(raw, place))


def _at(raw: bytes, place: int) -> bytes:
    """Return what the offset in a word points at."""
    return raw[_uint(raw, place) :]


def _text(raw: bytes) -> bytes:
    """Return bytes that stand behind their length, filled up with zeros."""
    length = _uint(raw, 0)
    filled = raw[WORD + length : WORD + length + -length % WORD]
    if len(filled) < -length % WORD or any(filled):
        raise Fault("bytes of the message end too early, or are not filled up with zeros")
    return raw[WORD : WORD + length]


def _decimals(said: int) -> int:
    """Hold decimals against what a token can have, before a power is taken of them."""
    if not 0 <= said <= MOST_DECIMALS:
        raise Fault(f"a token has 0 to {MOST_DECIMALS} decimals, not {said}")
    return said


def _same_amount(row: Json, amount: int) -> None:
    if str(amount) != row["amount_raw"]:
        raise Fault(f"{amount} arrives, not {row['amount_raw']}")


def _padded(raw: bytes) -> bytes:
    if len(raw) > WORD:
        raise Fault("an address has more than 32 bytes")
    return raw.rjust(WORD, b"\0")


def _account(name: str) -> bytes:
    """Return an account (CAIP-10) or an address as bridges write it, in 32 bytes."""
    address = name.rpartition(":")[2]
    return _padded(_bytes(address) if address.startswith("0x") else prices.base58(address))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


# -- a snapshot -------------------------------------------------------------------------------------------------------


class _Blocks:
    """What a snapshot says of blocks: that of the cut by its hash, those below by its word, which is counted."""

    def __init__(self, cut: Mapping[str, Json]) -> None:
        self._cut = cut
        self.by_word = 0

    def known(self, chain: str, number: int, hashed: bytes) -> bool:
        cut = self._cut.get(chain)
        if cut is not None and number > cut["block"]:
            raise Fault(f"block {number} of {chain} is above the cut")
        if cut is not None and number == cut["block"]:
            if hashed != _bytes(cut["hash"]):
                raise Fault(f"block {number} of {chain} is another one")
            return True
        self.by_word += 1
        return True


def checked(folder: Path, trust: Trust = NOBODY) -> Checked:
    """Check the messages of a snapshot; raises `OSError`, `ValueError` and `KeyError` for a folder that is none."""
    manifest, found, grades = json.loads((folder / "manifest.json").read_bytes()), Checked(), Counter[str]()
    if MESSAGES not in manifest["tables"]:
        return found
    blocks = _Blocks(manifest["cut"])
    for row in prices.rows(folder, MESSAGES):
        try:
            _look(row, trust, blocks, found)
        except UNREADABLE as error:
            found.faults.append(f"{row['protocol']}:{row['message']}: {error}")
        grades[row["grade"]] += 1
    if grades:
        counted = ", ".join(f"{count} of grade {grade}" for grade, count in sorted(grades.items()))
        found.notes.append(f"messages of bridges on their way: {counted}; they count nothing")
    if blocks.by_word:
        found.notes.append(
            f"that the blocks of {blocks.by_word} messages are of their chains is the snapshot's word; ask any node"
        )
    if grades[SIGNED] and trust == NOBODY:
        found.notes.append(f"who signed or accepted {grades[SIGNED]} messages was not looked at: nobody was named")
    return found


def _look(row: Json, trust: Trust, blocks: _Blocks, found: Checked) -> None:
    """Follow the evidence of one message, and see that its grade is no better; raises `Fault`."""
    about = f"{row['protocol']}:{row['message']}"
    if row["grade"] not in {SIGNED, SAID}:
        raise Fault(f"{row['grade']} is no grade of a message")
    ours = judged(row, None if row["evidence"] is None else json.loads(row["evidence"]), trust, blocks.known)
    if row["grade"] == SIGNED and ours.doubts:
        raise Fault(f"it has the grade {SIGNED}, and {'; '.join(ours.doubts)}")
    if row["grade"] == SIGNED and ours.unnamed and trust != NOBODY:
        found.notes.append(f"{about} is not proven by whom you named: {'; '.join(ours.unnamed)}")


def trust_in(text: str) -> Trust:
    """Read whom to believe, or a list of guardian sets alone; raises `ValueError`, `KeyError` and `TypeError`."""
    said = json.loads(text)
    bridges = [] if isinstance(said, list) else said.get("bridges", [])
    return Trust(prices.guardians_in(text), tuple(map(_bridge, bridges)))


def _bridge(said: Json) -> Bridge:
    tokens = {via(each["via"]): (each["asset"], each.get("shared_decimals")) for each in said.get("tokens", ())}
    return Bridge(said["protocol"], said["chain"], int(said["number"]), _account(said["address"]), tokens)


def via(text: str) -> str:
    """Write what a message names, "NUMBER/ADDRESS", in one way; raises `ValueError` and `Fault`."""
    number, _, address = text.partition("/")
    return f"{int(number)}/{_account(address).hex()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the messages in the snapshot that the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(prog="verify_messages.py", description="Verify the messages of bridges.")
    reader.add_argument("snapshot", type=Path, help="the folder of a snapshot that verify.py found intact")
    reader.add_argument("--trust", type=Path, help="a file of the guardian sets and bridges that you trust")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    try:
        trust = trust_in(asked.trust.read_text()) if asked.trust else NOBODY
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reader.error(f"--trust: {type(error).__name__} {error}")
    try:
        found = checked(asked.snapshot, trust)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = Checked(faults=[f"this is no snapshot: {type(error).__name__} {error}"])
    if asked.json:
        sys.stdout.write(json.dumps({"faults": found.faults, "notes": found.notes}, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"WRONG: {fault}\n" for fault in found.faults)
        sys.stdout.writelines(f"note: {note}\n" for note in found.notes)
    return 4 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
