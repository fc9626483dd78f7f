"""What `make gen` makes for readers of the API out of the protos: openapi.json and its page.

It is no part of the server, which only serves the two files.
"""
