"""POST /query: an answer with the passages it rests on."""
