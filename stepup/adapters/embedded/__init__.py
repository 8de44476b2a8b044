"""PostgreSQL and a Redis-protocol server as child processes, for development and tests."""
