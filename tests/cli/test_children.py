import signal

import pytest

from stepup.cli import children
from stepup.cli.children import Workers
from stepup.cli.stopping import StoppedError


@pytest.fixture
def workers():
    """Two workers that nobody ever tells what to serve."""
    running = Workers([], 2)
    yield running
    running.stop()


def test_workers_that_were_never_told_what_to_serve_are_stopped(workers: Workers):
    assert not workers.ready
    workers.stop()


def test_a_stop_that_comes_while_a_dead_worker_is_replaced(workers: Workers, monkeypatch):
    def stop(_seconds: float) -> None:
        raise StoppedError(signal.SIGTERM)

    workers._workers[0].process.stop(signal.SIGKILL)
    with monkeypatch.context() as patched:
        patched.setattr(children.time, "sleep", stop)
        with pytest.raises(StoppedError):
            workers.look_after()
    workers.stop()
