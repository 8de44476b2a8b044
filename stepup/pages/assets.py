"""The built script and style sheet: found by their source's name, served by their content's.

The build (`frontend/`) writes them here with a manifest and they are committed, so that no
installation needs Node.
"""

import json
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha384
from importlib.resources import files

PREFIX = "/assets/"
# A name is made of its content, so what it names never changes.
CACHE_CONTROL = "public, max-age=31536000, immutable"

_CONTENT_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One built file; `integrity` is for the tag that loads it (Subresource Integrity)."""

    name: str
    content: bytes
    content_type: str
    integrity: str

    @property
    def url(self) -> str:
        """The path it is served at."""
        return PREFIX + self.name


@cache
def built() -> dict[str, Asset]:
    """Return all assets by the name of their source, as `stepup.css`."""
    folder = files("stepup.pages") / "static"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return {
        source.rpartition("/")[2]: _read(entry["file"], (folder / entry["file"]).read_bytes())
        for source, entry in manifest.items()
    }


def find(name: str) -> Asset | None:
    """Return the asset served under a hashed name, None when there is none."""
    return next((asset for asset in built().values() if asset.name == name), None)


def _read(name: str, content: bytes) -> Asset:
    return Asset(
        name=name,
        content=content,
        content_type=_CONTENT_TYPES[name.rpartition(".")[2]],
        integrity="sha384-" + b64encode(sha384(content).digest()).decode(),
    )
