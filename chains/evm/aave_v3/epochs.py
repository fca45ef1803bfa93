"""What the logs of a market mean, and from when: a reserve that is listed and a contract that is upgraded divide a span into epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.evm.aave_v3.rounding import Rounding
from chains.evm.abi import LoggedEvent
from chains.model import Side

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NO_TOKEN = -1


class Token(NamedTuple):
    """What an aToken or a variable debt token tells of, and how it rounds; without a rounding, nothing exact is known of its balances."""

    asset: bytes
    side: Side
    rounding: Rounding | None


class Epoch(NamedTuple):
    """What holds from `place` on: the tokens by address, and the engine that rows are stamped with."""

    place: int
    tokens: Mapping[bytes, Token]
    engine: str


class Epochs:
    """The epochs of a span in order; the first one began before it."""

    def __init__(self, tokens: Mapping[bytes, Token], engine: str) -> None:
        self._all = [Epoch(-1, tokens, engine)]
        self._numbers: dict[Token, int] = {}

    def begin(self, row: LoggedEvent, tokens: Mapping[bytes, Token], engine: str) -> None:
        """Let an epoch begin with a log."""
        self._all.append(Epoch((row.block << 32) + row.ordinal, tokens, engine))

    def engines(self, places: Numbers) -> pa.Array:
        """Return the engine at each place."""
        return pa.array([epoch.engine for epoch in self._all], pa.string()).take(pa.array(self._of(places)))

    def engine_at(self, block: int) -> str:
        """Return the engine at the end of a block."""
        return next(epoch.engine for epoch in reversed(self._all) if epoch.place < (block + 1) << 32)

    @property
    def tokens(self) -> list[Token]:
        """The tokens that occurred so far, by their number."""
        return list(self._numbers)

    def token_numbers(self, logs: pa.Table) -> Numbers:
        """Return the number of the token that emitted each log, as it was then; `NO_TOKEN` for none of the market's."""
        names = logs["address"].combine_chunks().dictionary_encode()
        addresses = names.dictionary.to_pylist()
        meanings = [[self._number(epoch.tokens.get(address)) for address in addresses] for epoch in self._all]
        table: Numbers = np.array(meanings, np.int64).reshape(len(meanings), len(addresses))
        return np.asarray(table[self._of(places_of(logs)), names.indices.to_numpy()])

    def _of(self, places: Numbers) -> Numbers:
        starts = np.array([epoch.place for epoch in self._all], np.int64)
        return np.searchsorted(starts, places, side="right") - 1

    def _number(self, token: Token | None) -> int:
        return NO_TOKEN if token is None else self._numbers.setdefault(token, len(self._numbers))


def places_of(table: pa.Table) -> Numbers:
    """Return where each log of a table stands in the chain, as one number."""
    return np.asarray((table["block_number"].to_numpy().astype(np.int64) << 32) + table["log_index"].to_numpy())
