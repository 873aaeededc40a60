"""The model ports on a Triton server, over gRPC."""
