"""Follows chains into the store, step by step."""
