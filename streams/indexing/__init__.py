"""What the two index stages share: rows go in, completeness is confirmed, progress is reported."""
