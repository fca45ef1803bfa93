"""The protocols that folders make, as messages list them."""

from __future__ import annotations

from chains.registry import PROTOCOLS


def there_are(family: str) -> str:
    """The protocols of a family, as in "a, b or c"."""
    *others, last = [name for name, module in PROTOCOLS.items() if module.startswith(f"chains.{family}.")]
    return f"{', '.join(others)} or {last}" if others else last
