"""Which code the contracts of a market run: what they say of it themselves, and what they cannot hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.engines import FIRST_LIQUID
from chains.evm.aave_v3.options import Terms
from chains.evm.aave_v3.rounding import FIRST_DIRECTED_POOL, TOLD_UNSCALED, Rounding
from chains.evm.abi import Function
from chains.evm.ports import PENDING, Reads

_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The versions of a market's contracts, asked after a block; `venue`: its pool."""

    venue: bytes
    terms: Terms
    reads: Reads

    def pool(self, block: int) -> tuple[int | None, int | None]:
        """Return the revision that the pool says, and that of the protocol's own code that it runs, `None` for none that is known.

        A fork that numbers older code higher, or newer code lower, is found out: from 3.2 on, a pool has bitmaps of its categories.
        """
        said = self._number(block, self.venue, ev.POOL_REVISION)
        revision = self.terms.pool(said)
        if revision is None:
            return said, revision
        bitmap = self.reads(block, self.venue, ev.EMODE_BITMAP.calldata(1))
        fits = bitmap is PENDING or bool(bitmap.returned) is (revision >= FIRST_LIQUID)
        return said, revision if fits else None

    def tell(self, pool: int | None) -> bool:
        """Whether tokens are asked for their revision when they are listed in a pool that runs such code."""
        return self.terms.token_revisions is not None or pool is None or pool >= FIRST_DIRECTED_POOL

    def rounding(self, block: int, name: str, token: bytes, pool: int | None) -> Rounding | None:
        """Return the rule that a token follows, `None` for none that is known."""
        said = self._number(block, self.venue, ev.POOL_REVISION)
        found = self.terms.rounding(said, self._number(block, token, ev.TOKEN_REVISIONS[name]))
        return self.transfers(block, token, pool) if found is Rounding.HALF_UP and name == "a_token" else found

    def transfers(self, block: int, a_token: bytes, pool: int | None) -> Rounding | None:
        """Return how an aToken that rounds half up tells of transfers, `None` where that is not known.

        What tells is the function that the pool calls in it after a repayment, which refuses others with a reason: that of 3.0.1, with
        which transfers are told scaled, has an argument more.
        """
        if pool not in TOLD_UNSCALED:
            return Rounding.HALF_UP
        before = self.reads(block, a_token, ev.HANDLE_REPAYMENT_BEFORE_3_0_1.calldata(_NOBODY, 0))
        since = self.reads(block, a_token, ev.HANDLE_REPAYMENT.calldata(_NOBODY, _NOBODY, 0))
        if PENDING in (before, since) or (since.output and not before.output):
            return Rounding.HALF_UP
        return Rounding.UNSCALED if before.output and not since.output else None

    def _number(self, block: int, contract: bytes, view: Function) -> Any:  # noqa: ANN401 - the ABI decides
        answer = self.reads(block, contract, view.calldata())
        values = view.result(answer.output) if answer.returned else None
        return values[0] if values else None
