"""OpenSSL's SHA-256, the one that `hashlib` has, for compiled kernels.

Importing it raises `ImportError` without numba, and where no OpenSSL is found that hashes as `hashlib` does: Python may have it built in.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from ctypes.util import find_library
from importlib.util import find_spec
from typing import Any

from llvmlite import binding
from numba import types

from aggregator.audit.c_functions import external

STATE = 256
"""Bytes of room for what SHA-256 knows between two calls; OpenSSL's `SHA256_CTX` has 112."""

_SHA256 = ("SHA256_Init", "SHA256_Update", "SHA256_Final")
_KNOWN = b"abc"


def _libraries() -> Iterator[str]:
    if (own := find_spec("_hashlib")) is not None and own.has_location and own.origin:
        yield own.origin
    if sys.platform != "darwin" and (found := find_library("crypto")):  # macOS ends a process that loads its own one
        yield found


def _functions() -> list[Any]:
    """Return the three functions of the first library that has them."""
    for name in _libraries():
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(name)
            if _hashes_rightly(found := [getattr(library, each) for each in _SHA256]):
                return found
    raise ImportError("no OpenSSL was found whose SHA-256 can be called")


def _hashes_rightly(functions: list[Any]) -> bool:
    start, update, finish = functions
    state, digest = ctypes.create_string_buffer(STATE), ctypes.create_string_buffer(hashlib.sha256().digest_size)
    told = [start(state), update(state, _KNOWN, ctypes.c_size_t(len(_KNOWN))), finish(digest, state)]
    return told == [1, 1, 1] and digest.raw == hashlib.sha256(_KNOWN).digest()


def _named(name: str, function: Any) -> str:  # noqa: ANN401 - ctypes has no type for it
    """Make a function known to whatever is compiled, by a name that nobody else has."""
    own = f"crossmargin_{name}"
    binding.add_symbol(own, ctypes.cast(function, ctypes.c_void_p).value)
    return own


_start, _update, _finish = (_named(name, function) for name, function in zip(_SHA256, _functions(), strict=True))

sha256_start: Any = external(_start, types.intc, types.intp)
"""Takes where the state is."""

sha256_update: Any = external(_update, types.intc, types.intp, types.intp, types.uintp)
"""Takes where the state is, and where how many more bytes are."""

sha256_finish: Any = external(_finish, types.intc, types.intp, types.intp)
"""Takes where the digest goes, and where the state is."""
