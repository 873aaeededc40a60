"""Sources: one folder each, the runner that submits what they see, and nothing of the stages or the API."""
