"""The ports, made of PostgreSQL, Redis and the system."""
