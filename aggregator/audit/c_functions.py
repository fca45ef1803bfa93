"""Functions of the C library for compiled kernels: they take places in memory. Importing it raises `ImportError` without numba."""

from __future__ import annotations

from typing import Any

from numba import types


def external(name: str, returned: Any, *taken: Any) -> Any:  # noqa: ANN401 - numba has no types for its own
    """Name a function that the process has, with the types of what it returns and takes."""
    return types.ExternalFunction(name, returned(*taken))


find: Any = external("memchr", types.intp, types.intp, types.intc, types.uintp)
"""Takes where to look, for which byte, among how many; returns where the first is, or 0."""

copy: Any = external("memcpy", types.intp, types.intp, types.intp, types.uintp)
"""Takes where to write, from where, and how many bytes."""
