"""What a process asks of Python and of its allocator: in a process of its own, for it is for good."""

import subprocess
import sys

PROGRAM = """
import gc
import pyarrow as pa
from indexer.housekeeping import keep_house

keep_house()
print(gc.get_threshold()[0], gc.get_freeze_count() > 0, pa.default_memory_pool().backend_name)
"""


def test_cycles_are_looked_for_seldom_and_memory_is_the_systems() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout

    assert said.split() == ["100000", "True", "system"]
