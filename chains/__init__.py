"""Networks and lending protocols: what a node says, and what a protocol means by it."""
