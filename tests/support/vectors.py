"""The public vectors in `tests/vectors`, as data."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    """Read one file of vectors by its name."""
    return json.loads((_FOLDER / f"{name}.json").read_text())
