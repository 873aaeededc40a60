"""The one harness that all stages share: it delivers, retries, parks, acknowledges and stops."""
