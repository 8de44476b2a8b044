"""The clock and the chance of use-case tests, under the names of the ports they stand for."""

from typing import ClassVar

from typing_extensions import override

from tests.support.determinism import CountingEntropy, StillClock


class TestClock(StillClock):
    """A clock that moves when it is told to."""

    __test__: ClassVar = False  # pytest: only the name looks like a test


class TestEntropy(CountingEntropy):
    """Chance whose tokens read token-1, token-2, ..."""

    __test__: ClassVar = False  # pytest: only the name looks like a test

    @override
    def token(self, count: int = 32) -> str:
        self.drawn += 1
        return f"token-{self.drawn}"
