"""Runs in cryo's own environment: logs of the vault into Parquet, raw or one event after the other decoded. Argument: JSON of the task."""

import json
import os
import sys

import cryo  # type: ignore[import-not-found]

task = json.loads(sys.argv[1])
common = {
    "blocks": [f"0:{task['head'] + 1}"],
    "rpc": task["url"],
    "contract": [task["vault"]],
    "inner_request_size": task["span"],
    "chunk_size": task["chunk"],
    "overwrite": True,
    "no_report": True,
    "no_verbose": True,
}
if task["decoded"]:
    for table, signature in task["events"].items():
        topic = task["topics"][list(task["events"]).index(table)]
        cryo.freeze("logs", output_dir=table, event_signature=signature, topic0=[topic], **common)
else:
    cryo.freeze("logs", output_dir="logs", **common)
sys.stdout.flush()
os._exit(0)  # its threads crash the interpreter's own end now and then, when all is written
