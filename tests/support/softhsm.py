"""A PKCS#11 token in software, of its own directory."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

LABEL, KEY, PIN = "stepup", "kek", "1234567890"
_MODULES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/softhsm/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)


class SoftToken(NamedTuple):
    """Where the token is; `environment` must be that of whoever loads the library."""

    module: str
    environment: dict[str, str]


def make_token(folder: Path) -> SoftToken:
    """Make an empty token, as an operator does."""
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(settings)}
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL]
    subprocess.run(
        [*command, "--so-pin", "87654321", "--pin", PIN],
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    module = next(str(path) for path in _MODULES if path.exists())
    return SoftToken(module, environment)
