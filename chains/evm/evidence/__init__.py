"""Evidence that no log of a span of blocks was left out: what headers, receipts, other nodes and the venues' own totals say."""
