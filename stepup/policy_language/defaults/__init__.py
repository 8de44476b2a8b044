"""The documents that come with the package, as text."""

from importlib.resources import files


def builtin() -> str:
    """Return our own account and administration actions, which lie below every document."""
    return _text("builtin.yaml")


def development() -> str:
    """Return the demo bank's policy, which `stepup dev` starts with."""
    return _text("development.yaml")


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text("utf-8")
