"""Recorded runs of MetaMorpho vaults (`metamorpho-*` folders, see `tests/golden/evm`): as nodes that serve them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chains.evm.morpho_blue import vault_events as ev
from chains.model import VenueSpec
from crossmargin.demo.recording import Recording
from tests.support.evm_runs import Answers, EvmRun, views_of
from tests.support.indexing import raw

REVERTED = {"error": {"code": 3, "message": "execution reverted", "data": "0x"}}


@dataclass(frozen=True, kw_only=True)
class VaultRun(EvmRun):
    """One run: what was deployed, what happened, and what the contracts said at the sampled blocks.

    `views`: what they said at every block of all that an indexer asks.
    """

    views: Answers

    @classmethod
    def load(cls, folder: Path) -> VaultRun:
        """Read a run."""
        return cls(**vars(EvmRun.load(folder)), views=views_of(folder) or {})

    def venue(self) -> VenueSpec:
        """The markets as a configured venue that follows some vaults by name, and those of the factory."""
        addresses = self.about["addresses"]
        named = tuple(vault["vault"] for vault in self.about["vaults"] if not vault["ofFactory"])
        return VenueSpec(
            id="vaults",
            protocol="morpho-blue",
            chain_id=self.chain_id,
            address=raw(addresses["Morpho"]),
            start_block=0,
            options={"vaults": named, "vault_factories": (addresses["MetaMorphoV1_1Factory"],)},
        )

    def recording(self, *, as_first_version: bool = False) -> Recording:
        """The run as a node serves it; `as_first_version`: the vaults do not say that they keep what they lost."""
        asked = "0x" + ev.LOST_ASSETS.calldata().hex()
        hidden = {key: [(0, REVERTED)] for key in self.views if key[1] == asked} if as_first_version else {}
        return Recording(**self.served(), calls={**self.views, **hidden})
