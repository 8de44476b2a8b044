"""docs/errors.md leaves nothing out."""

import re

import pytest

from stepup.http.problems import STATUS, listed, problem_of
from tests.http.test_problems import every_error
from tests.support.errors_page import errors_page

ROW = re.compile(r"\| `(\w+)` \| (\d{3}) \| `(\w+)` \| (\d{3}) \| (\S.*) \|")


def rows() -> dict[str, tuple[str, ...]]:
    found = [match.groups() for match in ROW.finditer(errors_page())]
    by_code = {code: rest for code, *rest in found}
    assert len(by_code) == len(found), "a code stands twice"
    return by_code


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_that_can_be_raised_is_explained(error):
    status, name, oauth_status, meaning = rows()[error.code]

    assert int(status) == STATUS[listed(error)]
    assert name
    assert int(oauth_status) >= 400
    assert meaning.endswith(".")


def test_the_page_explains_nothing_that_does_not_exist():
    assert rows().keys() == {error.code for error in STATUS}


def test_what_nobody_foresaw_is_explained():
    assert f"| `{problem_of(RuntimeError()).code}` | 500 |" in errors_page()
