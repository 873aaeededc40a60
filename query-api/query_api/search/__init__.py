"""POST /search: passages that the caller may read."""
