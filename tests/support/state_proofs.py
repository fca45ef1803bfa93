"""Recorded storage proofs of protocols' own contracts (`tests/golden/evm/proofs`), as nodes would have given them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from chains.auditing import Reply
from chains.evm.proofs.judging import RETURNED, Plan, Proof
from chains.evm.proofs.states import header_of
from tests.support.evm_runs import GOLDEN
from tests.support.indexing import raw


@dataclass(frozen=True, kw_only=True)
class RecordedProofs:
    """The header of a run's last block, and by contract the way to it and to each of its slots."""

    header: Mapping[str, Any]
    accounts: Mapping[bytes, tuple[bytes, ...]]
    storage: Mapping[bytes, Mapping[bytes, tuple[bytes, ...]]]
    values: Mapping[tuple[bytes, bytes], int]

    @classmethod
    def load(cls, name: str) -> Self:
        """Read the proofs of a run."""
        said = json.loads(gzip.decompress((GOLDEN / "proofs" / f"{name}.json.gz").read_bytes()))
        nodes = [raw(node) for node in said["nodes"]]
        storage: dict[bytes, dict[bytes, tuple[bytes, ...]]] = {}
        values: dict[tuple[bytes, bytes], int] = {}
        for proof in said["proofs"]:
            contract = raw(proof["contract"])
            for each in proof["slots"]:
                storage.setdefault(contract, {})[raw(each["slot"])] = tuple(nodes[n] for n in each["proof"])
                values[contract, raw(each["slot"])] = int(each["value"], 16)
        accounts = {raw(p["contract"]): tuple(nodes[n] for n in p["account"]) for p in said["proofs"]}
        return cls(header=said["header"], accounts=accounts, storage=storage, values=values)

    @property
    def block_hash(self) -> bytes:
        """The hash of the block."""
        return raw(self.header["hash"])

    def replies(self, plan: Plan) -> list[Reply]:
        """Return what was recorded of a plan, as it would be stored: only of contracts of which every slot was recorded."""
        found = [Reply(*plan.header, RETURNED, header_of(self.header, self.block_hash))]
        for ask in plan.asks():
            known = self.storage.get(ask.contract, {})
            if known.keys() >= set(ask.slots):
                proof = Proof(self.accounts[ask.contract], {slot: known[slot] for slot in ask.slots})
                found.append(Reply(*ask.key, RETURNED, proof.packed()))
        return found
