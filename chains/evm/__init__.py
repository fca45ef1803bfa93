"""EVM chains: headers, logs, pinned reads, and one folder per protocol."""
