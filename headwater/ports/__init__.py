"""Protocols that the stages, the API and the connectors depend on. A port's docstring is its specification."""
