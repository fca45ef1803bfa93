"""`python -m indexer.remote`: started by the process that stores, never by hand."""

import sys

from indexer.remote.child import main

main(sys.argv[1:])
