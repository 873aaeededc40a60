"""Refills one store of a generation from the log and the caches, beside the stages that go on as usual."""
