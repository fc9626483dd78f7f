"""How fast the service is, always as a ratio to a baseline that was measured in the same minutes.

Run by `make bench`; what each figure means is said in docs/benchmarks.md.
"""
