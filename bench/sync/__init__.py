"""The sync benchmark: generated chains with a book beside them, served as a node serves them, indexed by us and by peers."""
