"""The only things that can happen to the store."""

from __future__ import annotations

from dataclasses import dataclass

from chains.model import Block
from chains.ports import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """A batch behind the cursor; the cursor becomes its last block.

    `parent` is the cursor that the batch was built on (`None` for the first batch): the store refuses any other.
    """

    parent: Block | None
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """Forget every row above `to`, the last block that the store and the chain still share (`None`: none is shared)."""

    chain_id: str
    to: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Blocks up to `number` cannot change any more."""

    chain_id: str
    number: int


Step = Append | Rewind | Finalize
