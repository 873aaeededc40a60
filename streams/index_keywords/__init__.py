"""Stage `index-keywords`: chunks become findable by their words; it does not wait for embeddings."""
