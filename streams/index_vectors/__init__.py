"""Stage `index-vectors`: chunks become findable by their meaning."""
