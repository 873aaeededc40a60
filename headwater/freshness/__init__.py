"""The promise of freshness: what is measured, what is promised of it, and whether it is kept."""
