"""POST /documents/.../explain: why a document does not answer a question, or where it stands if it does."""
