"""Merkle proofs of what contracts store (EIP-1186): from the hash of a block to a word of a contract's storage."""
