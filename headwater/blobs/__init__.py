"""What becomes of contents that nothing refers to any more."""
