"""Webhooks: events that are sent to addresses of subscribers, signed, until they are taken."""
