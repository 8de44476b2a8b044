"""Receivers of our security events."""
