"""Shared Signals: what receivers of our events ask, and what transmitters tell us."""
