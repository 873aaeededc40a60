"""The embedding model that clients are written for. Plain values: whoever names it need not load Triton's client."""

NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256
SERVED_AS = "text_embedding"


def served_name(model: str) -> str:
    """Return under which name Triton serves a model of a generation's record: its own, but for the built-in one."""
    return SERVED_AS if model == NAME else model


def recorded_name(served: str) -> str:
    """Return how records, lineage and caches name what Triton serves under this name."""
    return NAME if served == SERVED_AS else served
