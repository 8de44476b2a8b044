"""How two documents differ as text, line by line."""

from difflib import unified_diff

_NO_NEWLINE = "\\ No newline at end of file\n"


def text_difference(before: str, after: str, names: tuple[str, str]) -> str:
    """Return a unified diff; empty when the texts are the same."""
    lines = unified_diff(_lines(before), _lines(after), *names)
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _lines(text: str) -> list[str]:
    # Not `splitlines`, which breaks at form feeds and other characters inside a line as well.
    *whole, last = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]
