"""How two documents differ as text, line by line."""

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher

from typing_extensions import override

_NO_NEWLINE = "\\ No newline at end of file\n"
_AROUND = 3
_LONG = 200
# A few seconds of looking for what is the same; then the rest is told as taken out and put in.
_MOST_WORK = 20_000_000


def text_difference(before: str, after: str, names: tuple[str, str]) -> str:
    """Return a unified diff; empty when the texts are the same.

    It ends soon, whatever the texts are: whoever wants to go back from one waits for it.
    """
    lines = _unified(_lines(before), _lines(after), names)
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _unified(old: list[str], new: list[str], names: tuple[str, str]) -> Iterator[str]:
    groups = _Matcher(old, new).get_grouped_opcodes(_AROUND)
    for number, group in enumerate(groups):
        if number == 0:
            yield f"--- {names[0]}\n"
            yield f"+++ {names[1]}\n"
        (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
        yield f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@\n"
        for tag, from_old, to_old, from_new, to_new in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[from_old:to_old])
                continue
            yield from (f"-{line}" for line in old[from_old:to_old])
            yield from (f"+{line}" for line in new[from_new:to_new])


class _Matcher(SequenceMatcher[str]):
    """Finds what is the same, as long as it is worth it."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new)
        self._old = old
        # As `SequenceMatcher` does: what is everywhere in a long text is looked for nowhere.
        popular = len(new) // 100 + 1 if len(new) >= _LONG else len(new)
        self._places = {line: n for line, n in Counter(new).items() if n <= popular}
        self._left = _MOST_WORK

    @override
    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        lines = self._old[alo:ahi]
        self._left -= len(lines) + sum(self._places.get(line, 0) for line in lines)
        if self._left < 0:
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def _range(start: int, stop: int) -> str:
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _lines(text: str) -> list[str]:
    # Not `splitlines`, which breaks at form feeds and other characters inside a line as well.
    *whole, last = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]
