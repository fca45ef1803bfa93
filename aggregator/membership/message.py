"""What a wallet signs to belong to a margin account, or not to belong to it any more: one text, and the same as typed data.

Everything that gives the signature its meaning stands in it: the domain, what is asked for, the operator for whom it is meant, the
margin account, the wallet (CAIP-10), a nonce that counts once, and from when until when it may be handed in and counts. Messages of
version 1 name no operator and mean the account of that id at whoever takes them in. Sources: EIP-191 (version 0x45, `personal_sign`),
EIP-712 (typed structured data).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from eth_hash.auto import keccak

from chains.identifiers import EVM, SOLANA, Account, IdentifierError, namespace_of, parse_account

DOMAIN = "crossmargin membership"
VERSION, NAMELESS_VERSION = "2", "1"
"""Of messages that name their operator, and of those that do not."""

LONGEST_S = 5 * 366 * 86_400
"""For how long a signature may count at most."""

LAST_TIME = 2**33
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[1-9][0-9]{0,31}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_OPERATOR = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}[a-z0-9]")
_LINE = re.compile(r"(Operator|Action|Margin account|Wallet|Nonce|Issued at|Expires at): (\S+)")

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId)"


class MalformedMessage(ValueError):
    """A text that is no message of a membership; the message says what is wrong."""


class Action(StrEnum):
    """What a wallet says."""

    LINK = "link"
    REVOKE = "revoke"


STATEMENTS = {
    Action.LINK: (
        "This wallet belongs to the margin account named here. What it holds and what it owes count there: on every chain of its kind "
        "if it is a key, on the named chain alone if it is a contract. This moves no funds and allows nobody to move any."
    ),
    Action.REVOKE: (
        "This wallet does not belong to the margin account named here any more. What it holds and what it owes stop counting there. "
        "This moves no funds and allows nobody to move any."
    ),
}
"""What is signed, in words."""


def check_operator(name: str) -> str:
    """Check the name of an operator and return it; raises `MalformedMessage`."""
    if not _OPERATOR.fullmatch(name):
        raise MalformedMessage(f'"{name}" names no operator; write it like risk.example.org, in lower case')
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `issued_at` and `expires_at` in Unix seconds, `nonce` 32 lower-case hexadecimal digits.

    `operator`: for whom alone it is meant, `None` in a message of version 1.
    """

    action: Action
    account: str
    wallet: Account
    nonce: str
    issued_at: int
    expires_at: int
    operator: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no message may say; raises `MalformedMessage`."""
        if not _ACCOUNT.fullmatch(self.account):
            raise MalformedMessage(f'"{self.account}" is no id of a margin account')
        if self.operator is not None:
            check_operator(self.operator)
        if not _NONCE.fullmatch(self.nonce):
            raise MalformedMessage("the nonce must be 32 lower-case hexadecimal digits")
        family, _, reference = self.wallet.chain_id.partition(":")
        if family not in (EVM, SOLANA) or (family == EVM and not _NUMBER.fullmatch(reference)):
            raise MalformedMessage(f"{self.wallet.chain_id} is no chain whose wallets sign here")
        if not 0 <= self.issued_at < self.expires_at < LAST_TIME:
            raise MalformedMessage("it must expire after it was issued")
        if self.expires_at - self.issued_at > LONGEST_S:
            raise MalformedMessage(f"it may count for {LONGEST_S} s at most")

    @property
    def version(self) -> str:
        return NAMELESS_VERSION if self.operator is None else VERSION

    def text(self) -> str:
        """Return what is signed as text."""
        fields = self._values()
        operator = "" if self.operator is None else f"Operator: {self.operator}\n"
        return (
            f"{DOMAIN}\nversion {self.version}\n\n{fields['statement']}\n\n{operator}Action: {fields['action']}\n"
            f"Margin account: {fields['account']}\nWallet: {fields['wallet']}\nNonce: {fields['nonce']}\n"
            f"Issued at: {fields['issuedAt']}\nExpires at: {fields['expiresAt']}"
        )

    def typed_data(self) -> dict[str, Any]:
        """Return what is signed as EIP-712 typed data, as `eth_signTypedData_v4` takes it; of a wallet on an EVM chain."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                ],
                "Membership": [{"name": name, "type": "string"} for name in self._values()],
            },
            "primaryType": "Membership",
            "domain": {"name": DOMAIN, "version": self.version, "chainId": self._chain_number()},
            "message": self._values(),
        }

    def personal_hash(self) -> bytes:
        """Return the 32 bytes that `personal_sign` signs."""
        text = self.text().encode("utf-8")
        return bytes(keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode("ascii") + text))

    def typed_hash(self) -> bytes:
        """Return the 32 bytes that are signed of the typed data."""
        domain = _hashed(_DOMAIN_TYPE, _text_hash(DOMAIN), _text_hash(self.version), self._chain_number().to_bytes(32))
        values = self._values()
        kind = f"Membership({','.join(f'string {name}' for name in values)})"
        return bytes(keccak(b"\x19\x01" + domain + _hashed(kind, *map(_text_hash, values.values()))))

    def _chain_number(self) -> int:
        if namespace_of(self.wallet.chain_id) != EVM:
            raise MalformedMessage(f"typed data are for EVM wallets, and {self.wallet} is none")
        return int(self.wallet.chain_id.partition(":")[2])

    def _values(self) -> dict[str, str]:
        """Return the fields of the message in their order."""
        operator = {} if self.operator is None else {"operator": self.operator}
        return {
            "statement": STATEMENTS[self.action],
            **operator,
            "action": self.action.value,
            "account": self.account,
            "wallet": str(self.wallet),
            "nonce": self.nonce,
            "issuedAt": _written(self.issued_at),
            "expiresAt": _written(self.expires_at),
        }


def parse_message(text: str) -> Message:
    """Read a message strictly: what is read must be the very text that it is written as. Raises `MalformedMessage`."""
    found = {match[1]: match[2] for line in text.split("\n") if (match := _LINE.fullmatch(line))}
    try:
        message = Message(
            action=Action(found["Action"]),
            account=found["Margin account"],
            wallet=parse_account(found["Wallet"]),
            nonce=found["Nonce"],
            issued_at=_moment(found["Issued at"]),
            expires_at=_moment(found["Expires at"]),
            operator=found.get("Operator"),
        )
    except MalformedMessage:
        raise
    except (KeyError, ValueError, IdentifierError) as error:
        raise MalformedMessage(f"this is no message of a membership ({type(error).__name__}: {error})") from error
    if message.text() != text:
        raise MalformedMessage(
            "the text is not, letter by letter, what such a message says; sign the one that was printed"
        )
    return message


def _moment(text: str) -> int:
    if not _MOMENT.fullmatch(text):
        raise MalformedMessage(f"{text} is no moment such as 2026-11-28T12:00:00Z")
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def _written(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text_hash(text: str) -> bytes:
    return bytes(keccak(text.encode("utf-8")))


def _hashed(kind: str, *words: bytes) -> bytes:
    return bytes(keccak(_text_hash(kind) + b"".join(words)))
