"""Switchboard On-Demand price accounts."""
