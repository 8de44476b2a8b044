"""How workshop and place speak: a length, an allowance of seconds, and a pickle.

Both ends are this program, over pipes that nobody else holds; what a pickle could do, whoever
writes it can do anyway.
"""

import struct

HEADER = struct.Struct("!Qd")
"""Length of the pickle, and the seconds after which the place ends itself (0 in an answer)."""


def framed(pickled: bytes, seconds: float = 0.0) -> bytes:
    """Put a header before a pickle."""
    return HEADER.pack(len(pickled), seconds) + pickled
