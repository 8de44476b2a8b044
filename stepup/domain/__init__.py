"""The rules of step-up authentication: no I/O, no clock, no randomness, no framework."""
