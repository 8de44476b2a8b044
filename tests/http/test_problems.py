"""Every error has a status, a code and, at OAuth endpoints, a registered name."""

from datetime import timedelta

import pytest
from litestar.exceptions import HTTPException, InternalServerException

from stepup.domain import admin_errors, errors, policy_errors
from stepup.domain.errors import StepUpError
from stepup.http.problems import OAUTH_CODES, STATUS, listed, problem_of


def every_error() -> list[type[StepUpError]]:
    found: list[type[StepUpError]] = []
    waiting = [StepUpError]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        found += subclasses
        waiting += subclasses
    return [error for error in found if error.__module__.startswith("stepup.")]


# RFC 6749 sections 4.1.2.1 and 5.2, RFC 8707 section 2, RFC 9101 section 6.3, RFC 9449 section 12.2,
# OpenID Connect Core section 3.1.2.6 and unmet-authentication-requirements.
REGISTERED = {
    "invalid_request_object",
    "login_required",
    "interaction_required",
    "consent_required",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unsupported_grant_type",
    # RFC 7009 section 4.1.1.
    "unsupported_token_type",
    "unsupported_response_type",
    "unauthorized_client",
    "access_denied",
    "temporarily_unavailable",
    "invalid_target",
    "unmet_authentication_requirements",
    "request_uri_not_supported",
    "invalid_authorization_details",
}


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_has_a_status(error):
    assert listed(error) is not None


def test_every_error_stands_in_a_file_of_errors():
    homes = {error.__module__ for error in every_error()}
    assert homes >= {errors.__name__, admin_errors.__name__, policy_errors.__name__}
    assert all(home.startswith("stepup.domain.") and home.endswith("errors") for home in homes)


def test_causes_that_share_a_code_are_kinds_of_one_cause():
    by_code: dict[str, type[StepUpError]] = {}
    for error in every_error():
        assert issubclass(error, by_code.setdefault(error.code, error))


def test_oauth_codes_are_registered_ones():
    assert set(OAUTH_CODES.values()) <= REGISTERED


@pytest.mark.parametrize("error", [cause for cause, status in STATUS.items() if status == 503])
def test_what_is_away_says_when_to_come_back(error):
    problem = problem_of(error())

    assert problem.headers == {"retry-after": "1"}
    assert problem.oauth_code == "temporarily_unavailable"


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(timedelta(seconds=59, milliseconds=1), 60), (timedelta(seconds=60), 60), (timedelta(0), 1)],
)
def test_waiting_is_told_in_whole_seconds_rounded_up(wait, seconds):
    problem = problem_of(errors.TooManyAttemptsError(wait))

    assert problem.headers == {"retry-after": str(seconds)}
    assert problem.extensions == {"retry_after": seconds}


def test_a_wrong_answer_says_how_many_tries_are_left():
    problem = problem_of(errors.VerificationFailedError(tries_left=0))

    assert problem.extensions == {"tries_left": 0}


def test_a_wrong_answer_says_nothing_of_tries_when_they_are_unknown():
    assert problem_of(errors.VerificationFailedError()).extensions == {}


def test_a_refused_policy_lists_its_findings():
    problem = problem_of(errors.PolicyInvalidError(findings=({"line": 3},)))

    assert problem.extensions == {"findings": [{"line": 3}]}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        StepUpError("password=hunter2"),
        InternalServerException("password=hunter2"),
        HTTPException("password=hunter2", status_code=502),
    ],
    ids=["exception", "unlisted domain error", "framework", "gateway"],
)
def test_what_nobody_foresaw_says_nothing(error):
    problem = problem_of(error)

    assert (problem.status, problem.code, problem.oauth_code) == (
        500,
        "internal_error",
        "server_error",
    )
    assert "hunter2" not in repr(problem)


def test_a_special_case_has_the_status_of_what_it_is_a_case_of():
    problem = problem_of(errors.CodeReplayedError())

    assert (problem.status, problem.oauth_code) == (400, "invalid_grant")
    assert problem.detail == errors.CodeReplayedError.message
