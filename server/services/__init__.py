"""One thin class a gRPC service."""
