"""The canary: a caller of the public API that lives a document's life again and again, and measures it."""
