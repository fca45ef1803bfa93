"""Which logs are asked for, and how one question becomes two."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

Topics = Sequence[Collection[bytes] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Logs of some addresses (`None`: of any) with one of some topics in each place (`None`: any); all sorted."""

    addresses: tuple[bytes, ...] | None
    topics: tuple[tuple[bytes, ...] | None, ...]

    @classmethod
    def of(cls, addresses: Collection[bytes] | None, topics: Topics) -> Self:
        """Put what is asked for in order, so that the same question is always the same bytes."""
        return cls(
            addresses=None if addresses is None else tuple(sorted(addresses)),
            topics=tuple(None if some is None else tuple(sorted(some)) for some in topics),
        )

    @property
    def most(self) -> int:
        """The length of the longest list."""
        return max(len(some) for some in (self.addresses or (), *self.topics, ()) if some is not None)

    def halves(self) -> tuple[Self, Self] | None:
        """Return two questions that have all answers between them and none in common; `None` for one that cannot be cut."""
        middle = self.most // 2
        if not middle:
            return None
        if self.addresses is not None and len(self.addresses) == self.most:
            lower, upper = self.addresses[:middle], self.addresses[middle:]
            return self._with(lower, self.topics), self._with(upper, self.topics)
        place, some = next((i, some) for i, some in enumerate(self.topics) if some and len(some) == self.most)
        before, behind = self.topics[:place], self.topics[place + 1 :]
        return (
            self._with(self.addresses, (*before, some[:middle], *behind)),
            self._with(self.addresses, (*before, some[middle:], *behind)),
        )

    def _with(self, addresses: tuple[bytes, ...] | None, topics: tuple[tuple[bytes, ...] | None, ...]) -> Self:
        return type(self)(addresses=addresses, topics=topics)

    def query(self, first: int, last: int) -> dict[str, object]:
        """Return the parameter of `eth_getLogs`."""
        query: dict[str, object] = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [None if some is None else [_hex(topic) for topic in some] for some in self.topics],
        }
        if self.addresses is not None:
            query["address"] = [_hex(address) for address in self.addresses]
        return query


def _hex(word: bytes) -> str:
    return "0x" + word.hex()
