"""Streams of events: what is stored first, then what comes, without a gap and nothing twice."""
