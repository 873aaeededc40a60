"""The embedding model that clients are written for. Plain values: whoever names it need not load Triton's client."""

NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256
