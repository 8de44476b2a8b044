"""A condition taken apart at its `&&` and `||`, so that a reader sees which part gave what.

The parts are cut out of the text and not written anew: an administrator finds them in his document.
"""

import re
from collections.abc import Iterator

# What nobody reads any more; and every part is compiled for itself.
MAX_PARTS = 20

# CEL language definition, "Syntax": triple quotes first; in a raw string a backslash is one.
_TOKEN = re.compile(
    r"""
    (?P<text>
        [bB]?[rR][bB]?(?:'''(?s:.)*?'''|\"\"\"(?s:.)*?\"\"\"|'[^'\n]*'|"[^"\n]*")
      | [bB]?(?:'''(?:\\.|(?s:.))*?'''|\"\"\"(?:\\.|(?s:.))*?\"\"\"
               |'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    )
    | (?P<comment>//[^\n]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<operator>&&|\|\||\?)
    | (?P<other>\w+|(?s:.))
    """,
    re.VERBOSE,
)


def parts_of(source: str) -> tuple[str, ...]:
    """Return the parts in the order of the text; none when the condition is all one."""
    found: list[str] = []
    for part in _operands(source):
        found.append(part)
        if len(found) > MAX_PARTS:
            return ()
    return tuple(found) if len(found) > 1 else ()


def conjuncts_of(source: str) -> tuple[str, ...]:
    """Return what must all be true; the whole condition when it is no chain of `&&`."""
    return _chain(source, "&&")


def disjuncts_of(source: str) -> tuple[str, ...]:
    """Return of what one must be true; the whole condition when it is no chain of `||`."""
    return _chain(source, "||")


def _chain(source: str, of: str) -> tuple[str, ...]:
    found: list[str] = []
    waiting = [source.strip()]
    while waiting:
        text = _bare(waiting.pop())
        operator, cuts = _cut(text)
        if operator == of and len(cuts) > 1:
            waiting.extend(reversed(cuts))
        else:
            found.append(text)
    return tuple(found)


def _operands(source: str) -> Iterator[str]:
    waiting = [source.strip()]
    while waiting:
        text = waiting.pop()
        _, cuts = _cut(_bare(text))
        if len(cuts) > 1:
            waiting.extend(reversed(cuts))
        else:
            yield text


def _bare(text: str) -> str:
    while (inner := _inside_parentheses(text)) is not None:
        text = inner
    return text


def _cut(text: str) -> tuple[str, list[str]]:
    """Cut at the outermost operators that bind least, and name them; `? :` is left whole."""
    places: dict[str, list[int]] = {"||": [], "&&": [], "?": []}
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "operator" if depth == 0:
                places[token[0]].append(token.start())
            case _:
                pass
    operator = "||" if places["||"] else "&&"
    if places["?"] or not places[operator]:
        return operator, [text]
    starts = [0, *(place + len(operator) for place in places[operator])]
    ends = [*places[operator], len(text)]
    return operator, [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _inside_parentheses(text: str) -> str | None:
    """Take off the parentheses that are around all of it."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token.start() == 0 and token[0] != "(":
            return None
        if token.lastgroup == "open":
            depth += 1
        elif token.lastgroup == "close":
            depth -= 1
            if depth == 0:
                return text[1:-1].strip() if token.end() == len(text) else None
    return None
