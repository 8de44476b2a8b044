import os
import subprocess
import sys
import zipfile

import pytest

from tests.support.engines import fresh_database
from tests.support.generated_docs import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def test_carries_what_an_installed_service_needs_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "stepup/_migrations/env.py" in names
    assert any(name.startswith("stepup/adapters/redis/scripts/") for name in names)
    assert "stepup/pages/static/manifest.json" in names
    assert "stepup/policy_language/defaults/development.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "migrations/"))]


def test_an_installed_service_can_migrate(wheel, tmp_path, postgres_url):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    with fresh_database(postgres_url) as url:
        upgraded = subprocess.run(
            [sys.executable, "-P", "-m", "stepup", "db", "upgrade"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "STEPUP_POSTGRES_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert upgraded.returncode == 0, upgraded.stderr
    assert upgraded.stdout.strip()
