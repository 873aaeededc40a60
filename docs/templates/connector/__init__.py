"""A connector to begin with: copy this folder to connectors/NAME (docs/connectors.md, "A new source")."""
