"""One place of the workshop: a process that does one piece of work after another.

    python -m stepup.adapters.workshop.place MODULE...

The modules are imported before the place says that it is ready, so that no work waits for them.
It ends with its input, which ends with the process that opened it.
"""

import importlib
import os
import pickle
import signal
import sys
from typing import BinaryIO

from stepup.adapters.workshop.frames import HEADER, framed

# Behind everything that serves: a try-out takes what the step-ups leave.
_NICENESS = 10


def main(modules: list[str]) -> None:
    """Work until the input ends."""
    # Ctrl-C in a terminal reaches the whole group; this process ends when its parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    with os.fdopen(os.dup(0), "rb") as orders, os.fdopen(os.dup(1), "wb") as answers:
        # What some library prints must not get between the answers.
        os.dup2(2, 1)
        for module in modules:
            importlib.import_module(module)
        _send(answers, framed(b""))
        while header := orders.read(HEADER.size):
            length, seconds = HEADER.unpack(header)
            # Whoever waits for us kills us when our time is up. If he is dead, this does.
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer = _done(orders.read(length))
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(answers, framed(answer))


def _done(order: bytes) -> bytes:
    try:
        work, given = pickle.loads(order)  # noqa: S301  see `frames`
        return pickle.dumps((True, work(*given)))
    except Exception as error:  # noqa: BLE001  it is raised again where somebody waits for it
        return _failed(error)


def _failed(error: Exception) -> bytes:
    try:
        pickled = pickle.dumps((False, error))
        pickle.loads(pickled)  # noqa: S301  see `frames`
    except Exception:  # noqa: BLE001  an error that cannot travel is told by its name
        return pickle.dumps((False, RuntimeError(type(error).__name__)))
    return pickled


def _send(answers: BinaryIO, frame: bytes) -> None:
    answers.write(frame)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
