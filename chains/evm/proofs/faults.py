"""What is wrong with a proof."""

from __future__ import annotations


class BadProof(Exception):
    """A proof that proves nothing; the message says which part of it is not as it must be."""
