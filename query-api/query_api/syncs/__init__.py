"""Syncs of sources: ask for them, cancel them, see how they stand."""
