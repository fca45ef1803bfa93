"""Benchmarks: each measures this program and a named peer or bound in one run, and prints the ratio."""
