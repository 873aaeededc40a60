"""Live embedding: one stream, so that a question or an edit never waits behind bulk work."""

from embedding_model import EmbeddingModel


class TritonPythonModel(EmbeddingModel):
    """The name that Triton's python backend looks for."""
