"""Deletions of sources that wait for an administrator."""
