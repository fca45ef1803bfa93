"""Only an OpenSSL that hashes as `hashlib` does is called, and none where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from aggregator.audit import branches


@pytest.fixture
def openssl() -> Any:
    return pytest.importorskip("aggregator.audit.openssl", exc_type=ImportError)


def test_the_first_library_that_hashes_rightly_is_taken(openssl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = list(openssl._libraries())

    def libraries() -> Iterator[str | None]:
        yield "/no/such/library.so"
        yield None  # the process itself, which need not have the functions
        yield from known

    monkeypatch.setattr(openssl, "_libraries", libraries)

    assert openssl._hashes_rightly(openssl._functions())


def test_without_a_library_nothing_is_compiled(openssl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "_libraries", lambda: iter(["/no/such/library.so"]))

    with pytest.raises(ImportError, match="no OpenSSL was found whose SHA-256 can be called"):
        openssl._functions()


@pytest.mark.parametrize("said", [0, 1])
def test_functions_that_do_not_hash_are_not_called(openssl: Any, said: int) -> None:
    """Whether or not they say that all went well."""
    assert not openssl._hashes_rightly([lambda *_: said] * 3)


def test_a_tree_is_built_without_kernels_where_openssl_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aggregator.audit.branch_kernels", None)
    monkeypatch.delattr("aggregator.audit.branch_kernels", raising=False)
    branches.kernels.cache_clear()
    try:
        assert branches.kernels() is None
    finally:
        branches.kernels.cache_clear()
