"""How good retrieval is: judged questions, asked of the real API over documents that came through the real pipeline."""
