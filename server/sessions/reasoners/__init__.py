"""The reasoners: each works out, in its own way, what happened and what to do about it."""
