"""Several things at once, and none of them under way after one failed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def gathered(awaited: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all; where one fails, end the others first: nothing may ask on for a caller who gave up."""
    tasks = [asyncio.create_task(each) for each in awaited]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
