"""Solana clusters: slots and commitment, transactions and accounts, and the protocols that live there."""
