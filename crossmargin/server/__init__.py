"""HTTP: documents of the desk under /v1, and what operators watch."""
