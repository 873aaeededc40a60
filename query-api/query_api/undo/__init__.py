"""Deletions of a source are taken back."""
