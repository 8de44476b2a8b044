"""Processes that work is done in: the place itself, and the workshop that opens and closes them."""
