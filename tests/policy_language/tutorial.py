"""The tutorial as one that can be followed: files that are written, commands with their answers."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "policy-tutorial.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*?)(?:  # exits with (\d))?\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_FILE = re.compile(r"# (\S+)\n")


class Written(NamedTuple):
    """A file that the reader writes."""

    name: str
    text: str


class Command(NamedTuple):
    """A command that the reader types, and what it answers; `...` stands for anything."""

    arguments: list[str]
    code: int
    answer: str

    def is_answered(self, output: str) -> bool:
        """Say whether this is the answer."""
        pattern = ".*".join(map(re.escape, self.answer.strip().split("...")))
        return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def steps() -> list[Written | Command]:
    """List what the reader does, in order."""
    found: list[Written | Command] = []
    for kind, text in _BLOCK.findall(PAGE.read_text("utf-8")):
        name = _FILE.match(text)
        if kind == "yaml" and name:
            found.append(Written(name[1], text))
        elif kind == "console":
            found += [
                Command(shlex.split(line), int(code or 0), answer)
                for line, code, answer in _COMMAND.findall(text)
            ]
    return found
