"""One module a resource, one function a use case."""
