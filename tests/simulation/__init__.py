"""A deterministic simulation of the whole platform: one process, virtual time, one seed decides everything."""
