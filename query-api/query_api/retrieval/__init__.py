"""From a question to passages that the caller may read: two legs, the gate, fusion, reranking."""
