"""What is said about secrets at rest without opening them."""

from datetime import timedelta
from typing import NamedTuple


class SealedUntil(NamedTuple):
    """How many values lie under one key-encryption key, and when the last of them is forgotten.

    The copy of the configuration is one of them, and is not forgotten but sealed again.
    """

    amount: int
    forgotten_in: timedelta
