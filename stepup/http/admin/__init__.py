"""The administrators' API."""
