"""Webhooks: an ASGI app that turns what a source tells into requests for syncs, and believes nothing else of it."""
