"""The demonstration: recorded chains on loopback nodes, through the real adapters, store and aggregator."""
