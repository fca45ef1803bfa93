"""Verifies by whose signatures wallets are members of accounts in a snapshot; trusts nobody.

Needs Python 3.11, `cryptography`, and `verify_state.py` and `verify_prices.py` beside it.

    python verify_members.py SNAPSHOT [--json]

Each member that `inputs` say signed must have a line in `memberships` with the very message, of that account and wallet, of that moment,
signed by the wallet's key. What the operator says, and what a contract wallet was asked, is the snapshot's word, and is counted. It is for
a snapshot whose files `verify.py` found to be what the manifest says.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


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

MEMBERS = "memberships"
OPERATOR = "operator"
CONTRACTS = {"eip1271", "eip1271-typed"}
ATTESTED, REVOKED = "attested", "revoked"
LINK, REVOKE = "link", "revoke"
EVM = "eip155"

Json = dict[str, Any]


@dataclass(slots=True)
class Checked:
    """What came of it: what is wrong, and what has to be known beside it."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# -- a message --------------------------------------------------------------------------------------------------------

DOMAIN = "crossmargin membership"
STATEMENTS = {
    LINK: (
        "This wallet belongs to the margin account named here. What it holds and what it owes count there: on every chain of its kind "
        "if it is a key, on the named chain alone if it is a contract. This moves no funds and allows nobody to move any."
    ),
    REVOKE: (
        "This wallet does not belong to the margin account named here any more. What it holds and what it owes stop counting there. "
        "This moves no funds and allows nobody to move any."
    ),
}
NAMES = ("Operator", "Action", "Margin account", "Wallet", "Nonce", "Issued at", "Expires at")
LINE = re.compile(rf"({'|'.join(NAMES)}): (\S+)")
TYPED = ("operator", "action", "account", "wallet", "nonce", "issuedAt", "expiresAt")


def said_in(text: str) -> dict[str, str]:
    """Return what a message says, by name; raises `Fault` for a text that is not, letter by letter, such a message."""
    found = {match[1]: match[2] for line in text.split("\n") if (match := LINE.fullmatch(line))}
    if found.get("Action") not in STATEMENTS or not set(NAMES[1:]) <= found.keys():
        raise Fault("the text is no message of a membership")
    version = "2" if "Operator" in found else "1"
    lines = "\n".join(f"{name}: {found[name]}" for name in NAMES if name in found)
    if text != f"{DOMAIN}\nversion {version}\n\n{STATEMENTS[found['Action']]}\n\n{lines}":
        raise Fault("the text is not, letter by letter, what such a message says")
    return found


def signed(text: str, said: Mapping[str, str], scheme: str, signature: bytes) -> bool:
    """Whether the key of the wallet that a message names signed it."""
    chain, _, address = said["Wallet"].rpartition(":")
    if scheme in {"eip191", "eip712"} and chain.startswith(EVM):
        digest = _personal(text.encode()) if scheme == "eip191" else _typed(said, int(chain.partition(":")[2]))
        return _recovered(digest, signature) == bytes.fromhex(address[2:])
    if scheme in {"ed25519", "solana-offchain"} and chain.startswith("solana"):
        raw = text.encode()
        beginning = b"\xffsolana offchain\x00\x01" + len(raw).to_bytes(2, "little")
        return _ed25519(prices.base58(address), raw if scheme == "ed25519" else beginning + raw, signature)
    return False


def _keccak(raw: bytes) -> bytes:
    return bytes(prices.state.keccak(raw))


def _personal(raw: bytes) -> bytes:
    return _keccak(b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw)


def _typed(said: Mapping[str, str], chain: int) -> bytes:
    values = {"statement": STATEMENTS[said["Action"]]} | {
        typed: said[name] for typed, name in zip(TYPED, NAMES, strict=True) if name in said
    }
    kind = f"Membership({','.join(f'string {name}' for name in values)})"
    version = b"2" if "Operator" in said else b"1"
    domain = b"EIP712Domain(string name,string version,uint256 chainId)"
    named = _keccak(domain) + _keccak(DOMAIN.encode()) + _keccak(version) + chain.to_bytes(32)
    content = _keccak(kind.encode()) + b"".join(_keccak(value.encode()) for value in values.values())
    return _keccak(b"\x19\x01" + _keccak(named) + _keccak(content))


def _recovered(digest: bytes, signature: bytes) -> bytes | None:
    """Return whose a signature is; of the two with one meaning, the one with the low `s` counts (EIP-2)."""
    parity = {0: 0, 1: 1, 27: 0, 28: 1}.get(signature[64]) if len(signature) == 65 else None  # noqa: PLR2004 - r, s and v
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    if parity is None or s > prices.N // 2:
        return None
    found: bytes | None = prices.recovered(digest, r, s, parity)
    return found


FIELD = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
SMALL_ORDER = {0, 1, FIELD - 1, ORDER_8, FIELD - ORDER_8}
"""The y of points under whose keys anybody can sign."""


def _ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    if len(key) != 32 or (int.from_bytes(key, "little") % 2**255) % FIELD in SMALL_ORDER:  # noqa: PLR2004 - bytes of a key
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# -- a snapshot -------------------------------------------------------------------------------------------------------


def checked(folder: Path) -> Checked:
    """Check by what wallets are members; raises `OSError`, `ValueError` and `KeyError` for a folder that is no snapshot."""
    manifest, found, by = json.loads((folder / "manifest.json").read_bytes()), Checked(), Counter[str]()
    if MEMBERS not in manifest["tables"]:
        return found
    rows = {(row["account"], row["digest"]): row for row in prices.rows(folder, MEMBERS)}
    slot = max((row["time"] for row in prices.rows(folder, "as_of")), default=0)
    used: set[tuple[str, str]] = set()
    for account, member in _members(folder):
        about, key = f"{account} {member['member']}", (account, str(member["evidence"]))
        by[member["scheme"] or "declared"] += 1
        used.add(key)
        if member["evidence"] is None and member["kind"] == ATTESTED:
            found.faults.append(f"{about}: it is {ATTESTED}, and nothing says by what")
        if member["evidence"] is None:
            continue
        if key not in rows:
            found.faults.append(f"{about}: the message by which it is {member['kind']} is missing")
            continue
        try:
            found.faults += [f"{about}: {fault}" for fault in _faults(account, member, rows[key], slot)]
        except (Fault, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            found.faults.append(f"{about}: {error if isinstance(error, Fault) else f'malformed: {error}'}")
    found.faults += [
        f"{account} {digest}: a message by which nobody is a member" for account, digest in rows.keys() - used
    ]
    if by:
        told = ", ".join(f"{count} {what}" for what, count in sorted(by.items()))
        found.notes.append(f"members of accounts: {told}")
    if asked := sum(by[scheme] for scheme in CONTRACTS):
        found.notes.append(f"that {asked} contract wallets said yes is the snapshot's word; ask any node")
    return found


def _faults(account: str, member: Json, row: Json, slot: int) -> Iterator[str]:
    if member["scheme"] == OPERATOR:
        if member["kind"] == ATTESTED:
            yield "the operator's word makes nobody a member"
        return
    if f"sha256:{hashlib.sha256(row['envelope'].encode()).hexdigest()}" != row["digest"]:
        yield "the message has another hash"
    envelope = json.loads(row["envelope"])
    text, scheme = envelope["message"], envelope["scheme"]
    said, raw = said_in(text), envelope["signature"]
    if scheme != member["scheme"] or said["Margin account"] != account:
        yield "the message is of another account, or was signed in another way"
    if not _speaks_for(said["Wallet"], member["member"], by_key=scheme not in CONTRACTS):
        yield f"the message is of {said['Wallet']}"
    wanted = {ATTESTED: LINK, REVOKED: REVOKE}.get(member["kind"])
    if wanted not in {None, said["Action"]}:
        yield f"the message says {said['Action']}"
    if member["kind"] == ATTESTED and not _moment(said["Issued at"]) < _moment(said["Expires at"]):
        yield "the message expires before it was issued"
    if member["kind"] == ATTESTED and _moment(said["Expires at"]) <= slot:
        yield "the message had expired"
    signature = bytes.fromhex(raw[2:]) if raw.startswith("0x") else prices.base58(raw)
    if scheme not in CONTRACTS and not signed(text, said, scheme, signature):
        yield "the wallet did not sign the message"


def _speaks_for(wallet: str, member: str, *, by_key: bool) -> bool:
    """Whether a wallet's message counts for a member: a key is the same on every chain of its kind, a contract is not."""
    (own, _, address), (there, _, other) = wallet.rpartition(":"), member.rpartition(":")
    same_kind = own.partition(":")[0] == there.partition(":")[0]
    same = address.lower() == other.lower() if own.startswith(EVM) else address == other
    return same and (same_kind if by_key else own == there)


def _members(folder: Path) -> Iterator[tuple[str, Json]]:
    for line in prices.lines(folder, "inputs"):
        if line.endswith(b'"part":"account"}\n'):
            account = json.loads(json.loads(line)["document"])
            yield from ((account["id"], member) for member in account["membership"])


def _moment(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the members in the snapshot that the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(prog="verify_members.py", description="Verify who signed to be a member.")
    reader.add_argument("snapshot", type=Path, help="the folder of a snapshot that verify.py found intact")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    try:
        found = checked(asked.snapshot)
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
