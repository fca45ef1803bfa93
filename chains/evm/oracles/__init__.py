"""Price feeds of EVM chains, one folder a kind."""
