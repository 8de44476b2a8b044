"""What is said about secrets at rest without opening them."""

from datetime import timedelta
from typing import NamedTuple


class SealedUntil(NamedTuple):
    """How many values lie under one key-encryption key, and when the last of them is forgotten."""

    amount: int
    forgotten_in: timedelta
