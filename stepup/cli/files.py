"""Files that an operator hands to a command."""

from pathlib import Path

import rich_click as click

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""The type of an argument that names a file to read."""

FILE_OR_FOLDER = click.Path(exists=True, path_type=Path)
"""The type of a policy that may stand in several files."""


def read_text(path: Path) -> str:
    """Return what a file says, or end the command with one line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path}: not UTF-8") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"{path}: {reason}") from error
