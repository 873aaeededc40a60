"""Stage `embed`: chunks get their vectors, computed once for each text."""
