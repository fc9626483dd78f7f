"""What `kintsugi up` runs on one machine: PostgreSQL, server processes, Envoy, supervision.

Nothing here knows what the servers serve.
"""
