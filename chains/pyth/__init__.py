"""Pyth's signed prices as Hermes serves them: a chain of its own, whose blocks are the seconds in which it was asked."""
