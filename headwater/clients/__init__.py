"""Vendor clients: the only place that knows vendor types and vendor errors."""
