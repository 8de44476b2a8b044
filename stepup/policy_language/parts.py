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


def _operands(source: str) -> Iterator[str]:
    waiting = [source.strip()]
    while waiting:
        text = waiting.pop()
        bare = text
        while (inner := _inside_parentheses(bare)) is not None:
            bare = inner
        cuts = _cuts(bare)
        if len(cuts) > 1:
            waiting.extend(reversed(cuts))
        else:
            yield text


def _cuts(text: str) -> list[str]:
    """Cut at the outermost operators that bind least; `? :` is left whole."""
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
        return [text]
    starts = [0, *(place + len(operator) for place in places[operator])]
    ends = [*places[operator], len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


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
