"""Backups of the log's newest state and of the contents it refers to: segments, manifests, taking and restoring."""
