"""Bytes to a node and back over HTTP: kept connections, gzip, and bounds of time and size. No address is in any message."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from chains.errors import NodeBusy, NodeWrong

CONNECTIONS = 64
KEEP_ALIVE_S = 30.0
CONNECT_S = 10.0
READ_BUFFER = 1 << 20
IN_THREAD = 1 << 18
"""Compressed bytes from which on they are unpacked in a thread."""

_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "gzip", "User-Agent": "crossmargin"}
_EITHER_FORMAT = zlib.MAX_WBITS | 32


class TimedOut(NodeBusy):
    """No answer in time."""


class BrokenOff(NodeBusy):
    """Half an answer, or none on a connection that was there."""


class Oversized(NodeWrong):
    """An answer longer than is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An HTTP answer; `wire_bytes`: the length of its body as it came, compressed or not."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire_bytes: int


class Transport:
    """One HTTP client for all nodes of a chain; `headers`: more of them, of which no message tells."""

    def __init__(self, *, timeout_s: float, most_bytes: int, headers: Mapping[str, str] | None = None) -> None:
        self._headers = {**_HEADERS, **(headers or {})}
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, label: str, body: bytes, *, timeout_s: float | None = None) -> Received:
        """Send a body and return the answer, whatever its status; raises `NodeBusy`, `NodeWrong`."""
        return await self._within("POST", url, label, body, timeout_s)

    async def get(self, url: str, label: str) -> Received:
        """Return what is at an address, whatever its status; raises like `post`."""
        return await self._within("GET", url, label, None, None)

    async def _within(self, method: str, url: str, label: str, body: bytes | None, timeout_s: float | None) -> Received:
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                return await self._asked(method, url, label, body)
        except TimeoutError:
            raise TimedOut(f"{label} did not answer within {limit_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise NodeBusy(f"{label} cannot be reached ({type(error).__name__})") from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise BrokenOff(f"{label} broke off its answer ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NodeBusy(f"{label} cannot be reached ({type(error).__name__})") from None

    async def _asked(self, method: str, url: str, label: str, body: bytes | None) -> Received:
        async with self._client().request(
            method, url, data=body, headers=self._headers, allow_redirects=False
        ) as reply:
            if (reply.content_length or 0) > self._most_bytes:
                reply.close()
                raise Oversized(f"{label} answers with more than {self._most_bytes} bytes")
            raw = await self._whole(label, reply.content.iter_any())
            packed = reply.headers.get("Content-Encoding", "identity").lower()
            said = raw if packed == "identity" or not raw else await self._unpacked(label, raw)
            return Received(status=reply.status, headers=reply.headers, body=said, wire_bytes=len(raw))

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                auto_decompress=False,
                read_bufsize=READ_BUFFER,
            )
        return self._session

    async def _whole(self, label: str, chunks: AsyncIterator[bytes]) -> bytes:
        parts, size = [], 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._most_bytes:
                raise Oversized(f"{label} answers with more than {self._most_bytes} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _unpacked(self, label: str, raw: bytes) -> bytes:
        if len(raw) < IN_THREAD:
            return _unpack(label, raw, self._most_bytes)
        return await asyncio.to_thread(_unpack, label, raw, self._most_bytes)


def _unpack(label: str, raw: bytes, most_bytes: int) -> bytes:
    packed = zlib.decompressobj(_EITHER_FORMAT)
    try:
        said = packed.decompress(raw, most_bytes + 1)
    except zlib.error:
        raise NodeWrong(f"{label} gave an answer that is not compressed as it says") from None
    if len(said) > most_bytes:
        raise Oversized(f"{label} answers with more than {most_bytes} bytes")
    if not packed.eof:
        raise BrokenOff(f"{label} broke off its answer (compressed data ends early)")
    return said
