"""The service: what runs behind Envoy, and what starts it."""
