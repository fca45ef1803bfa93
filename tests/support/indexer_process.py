"""An indexer in a process of its own, to be killed: `python -m tests.support.indexer_process CHAIN URL POOL START STORE SPAN`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path

from chains.model import ChainSpec, VenueSpec
from chains.registry import connect
from indexer.store import Store
from tests.support.indexing import Narrow, raw, take_in


def main(arguments: list[str]) -> None:
    chain_id, url, pool, start, store_path, span = arguments
    spec = ChainSpec(id=chain_id, name="devnet", rpc=(url,), finality="finalized", start_block=0)
    number = chain_id.partition(":")[2]
    venue = VenueSpec(
        id=f"aave-{number}", protocol="aave-v3", chain_id=chain_id, address=raw(pool), start_block=int(start)
    )
    chain = Narrow(connect(spec, [venue], []), int(span))
    import_module("chains.evm.provider")  # loaded on first use otherwise, which takes longer than this process may live
    with Store.open(Path(store_path)) as store:
        sys.stdout.write("started\n")
        sys.stdout.flush()
        asyncio.run(take_in(chain, store))


if __name__ == "__main__":
    main(sys.argv[1:])
