"""All outgoing HTTP of connectors and webhooks: guarded addresses, caps, rate limits, conditional requests."""
