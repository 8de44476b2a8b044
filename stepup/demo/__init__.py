"""A bank and its identity provider: customers of the SDK, to see the whole thing work."""
