"""Workers that run what `rag.syncs.requested` asks for: exactly one a source at a time."""
