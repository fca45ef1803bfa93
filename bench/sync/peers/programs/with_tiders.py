"""Runs in tiders' own environment: logs of the vault, both events decoded, into DuckDB. Arguments: JSON of the task."""

import asyncio
import json
import sys

from tiders import config as c  # type: ignore[import-not-found]
from tiders import run_pipeline
from tiders_core import ingest  # type: ignore[import-not-found]
from tiders_core.ingest import evm  # type: ignore[import-not-found]

task = json.loads(sys.argv[1])
fields = evm.LogFields(
    log_index=True, transaction_index=True, transaction_hash=True, block_hash=True, block_number=True, address=True,
    data=True, topic0=True, topic1=True, topic2=True, topic3=True,
)  # fmt: skip
query = evm.Query(
    from_block=0,
    to_block=task["head"] + 1,
    logs=[evm.LogRequest(address=[task["vault"]], topic0=task["topics"])],
    fields=evm.Fields(log=fields),
)
provider = ingest.ProviderConfig(
    kind=ingest.ProviderKind.RPC, url=task["url"], stop_on_head=True, batch_size=task["span"], reorg_safe_distance=0
)
steps = [
    c.Step(
        kind=c.StepKind.EVM_DECODE_EVENTS,
        config=c.EvmDecodeEventsConfig(
            event_signature=signature, filter_by_topic0=True, output_table=table, large_int_as_binary=True
        ),
    )
    for table, signature in task["events"].items()
]
steps.append(c.Step(kind=c.StepKind.DELETE_TABLES, config=c.DeleteTablesConfig(tables=["logs"])))
pipeline = c.Pipeline(
    provider=provider,
    query=ingest.Query(kind=ingest.QueryKind.EVM, params=query),
    writer=c.Writer(kind=c.WriterKind.DUCKDB, config=c.DuckdbWriterConfig(path="tiders.duckdb")),
    steps=steps,
)
asyncio.run(run_pipeline(pipeline, pipeline_name="bench"))
