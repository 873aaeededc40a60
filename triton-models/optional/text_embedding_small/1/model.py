"""The small embedding model: one instance for questions and chunks."""

from embedding_model import EmbeddingModel


class TritonPythonModel(EmbeddingModel):
    """The name that Triton's python backend looks for."""
