"""The group as an author: how its members agree on the next half-block of its own chain, and sign it."""
