"""Bulk embedding: a stream per thread, for the most chunks a second."""

from embedding_model import EmbeddingModel


class TritonPythonModel(EmbeddingModel):
    """The name that Triton's python backend looks for."""
