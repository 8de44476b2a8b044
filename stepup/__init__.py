"""stepup: step-up authentication beside any identity provider."""

__version__ = "0.1.0"
