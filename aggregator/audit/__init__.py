"""Snapshots that anybody can check: the whole book at one cut, as files whose hashes a manifest names."""
