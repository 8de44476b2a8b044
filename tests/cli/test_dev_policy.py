"""`stepup dev --policy` and `stepup cluster up --policy` read what the other commands read."""

from pathlib import Path

import pytest

from stepup.cli.dev_start import read_policy
from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document

PAY = "apiVersion: stepup/v1\nactions:\n  pay: {default: {level: phr}}\n"
READ = "apiVersion: stepup/v1\nactions:\n  read: {default: allow}\n"


def test_a_file_is_taken_as_it_stands(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_text(f"# kept\n{PAY}")
    assert read_policy(file) == f"# kept\n{PAY}"


def test_a_folder_is_one_document(tmp_path: Path):
    (tmp_path / "pay.yaml").write_text(PAY)
    (tmp_path / "read.yaml").write_text(READ)
    policy = document.parse(read_policy(tmp_path), version=1)
    assert {"pay", "read"} <= set(policy.actions)


def test_what_is_wrong_in_a_folder_names_its_file(tmp_path: Path):
    (tmp_path / "pay.yaml").write_text(PAY)
    (tmp_path / "read.yaml").write_text(READ.replace("default", "defualt"))
    with pytest.raises(PolicyInvalidError) as caught:
        read_policy(tmp_path)
    assert any("read.yaml" in str(finding) for finding in caught.value.findings)
