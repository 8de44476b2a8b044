"""Time is measured where it matters; a slow machine is no failing property."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
