"""Updates as Hermes gives them, made by an encoder of its own and signed by keys of the tests, and a server that gives them.

The encoder shares nothing with the program: it builds the tree from the leaves, and signs with another library.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from chains.model import GuardianSet

PYTHNET, PYTH = 26, bytes.fromhex("e101faedac5851e32b9b23b5f9411a8c2bac4aae3ed4dd7b811dd1a72ea4aa71")
KEYS = [PrivateKey(keccak(text=f"guardian {number}")) for number in range(19)]
OTHERS = [PrivateKey(keccak(text=f"stranger {number}")) for number in range(19)]
GUARDIANS = GuardianSet(7, tuple(key.public_key.to_canonical_address() for key in KEYS))


@dataclass(frozen=True, kw_only=True)
class Price:
    """A price as a publisher's aggregate has it."""

    feed_id: bytes
    price: int
    publish_time: int
    confidence: int = 1_000_000
    exponent: int = -8
    ema_price: int = 1
    ema_confidence: int = 2

    def message(self) -> bytes:
        fields = [
            (0, 1), (int.from_bytes(self.feed_id), 32), (self.price, 8), (self.confidence, 8), (self.exponent, 4),
            (self.publish_time, 8), (self.publish_time - 1, 8), (self.ema_price, 8), (self.ema_confidence, 8),
        ]  # fmt: skip
        return b"".join(value.to_bytes(size, "big", signed=value < 0) for value, size in fields)


@dataclass(frozen=True, kw_only=True)
class Signing:
    """How an update is signed; each field can be made wrong."""

    keys: Sequence[PrivateKey] = tuple(KEYS)
    places: Sequence[int] = tuple(range(13))
    guardian_set: int = 7
    emitter: bytes = PYTH
    emitter_chain: int = PYTHNET


RIGHT = Signing()


def encoded(prices: Sequence[Price], *, slot: int, signing: Signing = RIGHT, spoil: int | None = None) -> bytes:
    """Return an update; `spoil`: the number of a price one of whose hashes on the path is another."""
    messages = [price.message() for price in prices]
    root, paths = tree(messages)
    if spoil is not None:
        paths[spoil] = [bytes(20), *paths[spoil][1:]]
    payload = b"AUWV\0" + slot.to_bytes(8, "big") + (10_000).to_bytes(4, "big") + root
    body = (
        prices[0].publish_time.to_bytes(4, "big") + bytes(4) + signing.emitter_chain.to_bytes(2, "big")
        + signing.emitter + slot.to_bytes(8, "big") + b"\1" + payload
    )  # fmt: skip
    digest = keccak(keccak(body))
    signatures = b"".join(bytes([at]) + signing.keys[at].sign_msg_hash(digest).to_bytes() for at in signing.places)
    vaa = b"\1" + signing.guardian_set.to_bytes(4, "big") + bytes([len(signing.places)]) + signatures + body
    told = b"".join(
        len(message).to_bytes(2, "big") + message + bytes([len(path)]) + b"".join(path)
        for message, path in zip(messages, paths, strict=True)
    )
    return b"PNAU\1\0\0\0" + len(vaa).to_bytes(2, "big") + vaa + bytes([len(messages)]) + told


def tree(messages: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Return the root of a full binary tree over the messages, filled up with empty leaves, and each one's path."""
    width = 4
    while width < len(messages):
        width *= 2
    level = [keccak(b"\0" + message)[:20] for message in messages]
    level += [keccak(b"\2")[:20]] * (width - len(level))
    paths: list[list[bytes]] = [[] for _ in messages]
    places = list(range(len(messages)))
    while len(level) > 1:
        for number, place in enumerate(places):
            paths[number].append(level[place ^ 1])
        level = [keccak(b"\1" + b"".join(sorted(level[at : at + 2])))[:20] for at in range(0, len(level), 2)]
        places = [place // 2 for place in places]
    return level[0], paths


@dataclass
class Served:
    """What the server answers: the updates for the ids that are asked for, or an HTTP status; `asked`: every address so far."""

    updates: Callable[[list[str]], list[bytes]]
    status: int = 200
    asked: list[str] = field(default_factory=list)


@contextmanager
def hermes(served: Served) -> Iterator[str]:
    """Serve on a free port of the loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            ids = parse_qs(urlsplit(self.path).query).get("ids[]", [])
            data = [base64.b64encode(update).decode() for update in served.updates(ids)]
            body = json.dumps({"binary": {"encoding": "base64", "data": data}, "parsed": None}).encode()
            self.send_response(served.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signing(**wrong: object) -> Signing:
    """Return a right signing but for some fields."""
    return replace(RIGHT, **wrong)  # type: ignore[arg-type]
