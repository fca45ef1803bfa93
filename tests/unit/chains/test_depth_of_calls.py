"""What web3 brings along leaves the interpreter's own bound in force: nested JSON is an error and ends no process."""

from __future__ import annotations

import subprocess
import sys

NESTED = """
import json
import chains.evm.provider
try:
    json.loads("[" * 100_000)
except RecursionError:
    print("refused")
"""


def test_nested_json_is_refused_once_web3_was_imported() -> None:
    done = subprocess.run([sys.executable, "-c", NESTED], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "refused\n")
