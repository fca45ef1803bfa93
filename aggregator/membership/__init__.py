"""Whose account it is: what a wallet signs to belong to a margin account, and who has signed."""
