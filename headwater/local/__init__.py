"""The embedded stack: every component and process on loopback, under one supervisor."""
