"""Vectors in Milvus: Milvus Lite's server in the embedded stack, Milvus standalone or a cluster in production."""

from headwater.clients.milvus.index import MilvusVectorIndex

__all__ = ["MilvusVectorIndex"]
