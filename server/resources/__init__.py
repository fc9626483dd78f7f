"""One declaration a resource, and the engine that serves the standard methods from it."""
