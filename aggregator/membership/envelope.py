"""How a signed message comes: {"message": "<the text>", "scheme": "eip191", "signature": "0x…"}."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aggregator.margin.canonical import digest_of
from aggregator.membership.message import MalformedMessage, Message, parse_message
from aggregator.membership.proof import Scheme, check_scheme, parse_signature

LARGEST_ENVELOPE = 192 * 1024
_KEYS = ("message", "scheme", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message with a signature, verified or not; `digest` is `sha256:` and the hash of the text that came."""

    message: Message
    scheme: Scheme
    signature: bytes
    text: str

    @property
    def digest(self) -> str:
        return digest_of(self.text)


def parse_envelope(text: str) -> Envelope:
    """Read a signed message strictly; raises `MalformedMessage`."""
    if len(text) > LARGEST_ENVELOPE or not text.lstrip().startswith("{") or "[" in text or text.count("{") > 1:
        raise MalformedMessage('a signed message is one JSON object, {"message": …, "scheme": …, "signature": …}')
    try:
        pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list)
    except ValueError as error:
        raise MalformedMessage(f"this is no JSON: {error}") from error
    if sorted(key for key, _ in pairs) != sorted(_KEYS):
        raise MalformedMessage(f"a signed message has {', '.join(_KEYS)}, each once, and nothing else")
    said = {key: value for key, value in pairs if isinstance(value, str)}
    if len(said) < len(_KEYS):
        raise MalformedMessage(f"{', '.join(_KEYS)} must be texts")
    message, scheme = parse_message(said["message"]), _scheme(said["scheme"])
    check_scheme(message, scheme)
    return Envelope(message=message, scheme=scheme, signature=parse_signature(said["signature"]), text=text)


def _scheme(word: str) -> Scheme:
    known = [scheme.value for scheme in Scheme if scheme is not Scheme.OPERATOR]
    if word not in known:
        raise MalformedMessage(f"the scheme must be one of {', '.join(known)}")
    return Scheme(word)
