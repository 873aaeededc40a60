"""Guides, and examples that are run or checked by tests."""
