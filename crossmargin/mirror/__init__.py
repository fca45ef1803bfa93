"""Chains that another service indexes: what passes between the two over HTTP, and the follower that takes it in."""
