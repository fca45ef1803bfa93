"""Messages over a socket between two processes of this program: one small message and any number of large buffers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

Buffer = bytes | memoryview
Frame = tuple[bytes, list[memoryview]]

_COUNT = struct.Struct(">I")
_LENGTH = struct.Struct(">Q")


class Ended(Exception):
    """The other process has gone, or closed its end."""


def send(channel: socket.socket, message: bytes, buffers: Sequence[Buffer] = ()) -> None:
    """Write one frame; raises `Ended`."""
    parts = [message, *buffers]
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    try:
        channel.sendall(_COUNT.pack(len(parts)) + lengths + message)
        for part in buffers:
            channel.sendall(part)
    except OSError as error:
        raise Ended(str(error)) from error


def receive(channel: socket.socket) -> Frame:
    """Wait for one frame; raises `Ended`."""
    (count,) = _COUNT.unpack(_exactly(channel, _COUNT.size))
    lengths = [length for (length,) in _LENGTH.iter_unpack(_exactly(channel, count * _LENGTH.size))]
    message, *buffers = [_exactly(channel, length) for length in lengths]
    return bytes(message), buffers


def _exactly(channel: socket.socket, length: int) -> memoryview:
    room = memoryview(bytearray(length))
    filled = 0
    while filled < length:
        try:
            got = channel.recv_into(room[filled:])
        except OSError as error:
            raise Ended(str(error)) from error
        if not got:
            raise Ended("the other end is closed")
        filled += got
    return room
