"""Readers of the Airbyte protocol as sources: programs of their own, that say documents and where they resume."""
