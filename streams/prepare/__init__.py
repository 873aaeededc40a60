"""Stage `prepare`: a document's bytes become text, and the text becomes chunks."""
