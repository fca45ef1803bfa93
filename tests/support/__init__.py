"""Shared arrangements of tests: devnets into stores, and stores into comparable tables."""
