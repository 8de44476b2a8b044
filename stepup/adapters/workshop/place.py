"""One place of the workshop: a process that does one piece of work after another.

    python -m stepup.adapters.workshop.place MODULE...

The modules are imported before the place says that it is ready, so that no work waits for them.
It ends with its input, which ends with the process that opened it.
"""

import importlib
import os
import pickle
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stepup.adapters.workshop.frames import HEADER, framed
from stepup.domain.errors import TookTooLongError

# Behind everything that serves: a try-out takes what the step-ups leave.
_NICENESS = 10
# A mebibyte of rules takes one gibibyte to compile, and two are compared.
_MOST_MEMORY = 3 * 1024**3


def main(modules: list[str]) -> None:
    """Work until the input ends."""
    # Ctrl-C in a terminal reaches the whole group; this process ends when its parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    _bound_memory()
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


def _bound_memory() -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    # Where memory ends before that, the kernel takes this process and none that serves.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _done(order: bytes) -> bytes:
    try:
        work, given = pickle.loads(order)  # noqa: S301  see `frames`
        return pickle.dumps((True, work(*given)))
    except MemoryError:
        return pickle.dumps((False, TookTooLongError()))
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
