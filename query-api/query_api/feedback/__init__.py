"""POST /feedback: what callers say of their answers."""
