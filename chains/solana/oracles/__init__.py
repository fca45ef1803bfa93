"""Price sources of Solana."""
