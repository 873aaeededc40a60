"""A folder tree as a source."""
