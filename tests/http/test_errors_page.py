"""docs/errors.md leaves nothing out."""

import re

import pytest

from stepup.http.problems import STATUS, listed, problem_of
from tests.http.test_problems import every_error
from tests.support.errors_page import errors_page

ROW = re.compile(r"\| `(\w+)` \| (\d{3}) \| `(\w+)` \| (\d{3}) \| (\S.*) \|")


def rows() -> dict[tuple[str, int], tuple[str, ...]]:
    """A proof that does not hold is one cause with two statuses; any other code stands once."""
    found = [match.groups() for match in ROW.finditer(errors_page())]
    by_code = {(code, int(status)): rest for code, status, *rest in found}
    assert len(by_code) == len(found), "a code stands twice"
    return by_code


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_that_can_be_raised_is_explained(error):
    name, oauth_status, meaning = rows()[error.code, STATUS[listed(error)]]

    assert name
    assert int(oauth_status) >= 400
    assert meaning.endswith(".")


def test_the_page_explains_nothing_that_does_not_exist():
    assert rows().keys() == {(error.code, status) for error, status in STATUS.items()}


def test_what_nobody_foresaw_is_explained():
    assert f"| `{problem_of(RuntimeError()).code}` | 500 |" in errors_page()
