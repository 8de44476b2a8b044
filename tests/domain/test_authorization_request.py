"""Single parameters of an authorization request: what they mean, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.authorization import ResponseMode
from stepup.domain.authorization_request import (
    MAX_NONCE,
    MAX_STATE,
    AuthorizationRequest,
    read_acr_values,
    read_code_challenge,
    read_max_age,
    read_nonce,
    read_prompt,
    read_response_mode,
    read_scope,
    read_state,
)
from stepup.domain.errors import InvalidRequestError, InvalidScopeError, UnmetRequirementError
from stepup.domain.requested_claims import AskedLevels, agreed_levels, read_claims

LOW, HIGH = "urn:stepup:acr:1", "phr"


def test_rfc6749_3_1_unknown_parameters_are_ignored():
    request = AuthorizationRequest.of({"response_type": "code", "utm_source": "mail"})

    assert request == AuthorizationRequest(response_type="code")


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, None), ("0", 0), ("300", 300), ("999999999", 999_999_999)]
)
def test_core_3_1_2_1_max_age_is_a_number_of_seconds(text: str | None, seconds: int | None):
    assert read_max_age(text) == seconds


@pytest.mark.parametrize("text", ["-1", "+1", "1.5", "1e3", " 1", "٣", "9" * 10, "soon"])
def test_a_malformed_max_age_is_refused(text: str):
    with pytest.raises(InvalidRequestError):
        read_max_age(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [(None, set()), ("none", {"none"}), ("login consent", {"login", "consent"})],
)
def test_core_3_1_2_1_prompt_is_a_list(text: str | None, values: set[str]):
    assert read_prompt(text) == values


@pytest.mark.parametrize("text", ["none login", "create", "Login", "login sudo"])
def test_core_3_1_2_1_none_stands_alone_and_unknown_prompts_are_refused(text: str):
    with pytest.raises(InvalidRequestError):
        read_prompt(text)


@pytest.mark.parametrize("mode", [None, "query", "form_post"])
def test_both_response_modes_are_read(mode: str | None):
    assert read_response_mode(mode) is ResponseMode(mode or "query")


@pytest.mark.parametrize("mode", ["fragment", "query.jwt", "web_message", "QUERY"])
def test_another_response_mode_is_refused(mode: str):
    with pytest.raises(InvalidRequestError):
        read_response_mode(mode)


def test_core_3_1_2_1_acr_values_keep_the_order_of_preference():
    assert read_acr_values(f"{HIGH}  {LOW} {HIGH}") == (HIGH, LOW)


def test_more_acr_values_than_anybody_means_are_refused():
    with pytest.raises(InvalidRequestError):
        read_acr_values(" ".join(f"level-{number}" for number in range(33)))


def test_fapi2_5_3_2_2_a_nonce_of_64_characters_is_accepted():
    assert read_nonce("n" * 64) == "n" * 64


@pytest.mark.parametrize(("read", "limit"), [(read_nonce, MAX_NONCE), (read_state, MAX_STATE)])
def test_what_comes_back_is_bounded(read, limit: int):
    assert read("x" * limit)
    with pytest.raises(InvalidRequestError):
        read("x" * (limit + 1))


@pytest.mark.parametrize("text", ["a" * 42, "a" * 44, "a" * 42 + "+", "a" * 43 + "\n", ""])
def test_rfc7636_4_2_a_challenge_that_no_verifier_answers_is_refused(text: str):
    with pytest.raises(InvalidRequestError):
        read_code_challenge(text)


@pytest.mark.parametrize("text", ["a  b", 'a"b', " a", "a\\b", "é"])
def test_rfc6749_3_3_other_characters_of_a_scope_are_refused(text: str):
    with pytest.raises(InvalidScopeError):
        read_scope(text)


# --- claims -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        (None, AskedLevels()),
        ("{}", AskedLevels()),
        ('{"id_token":null}', AskedLevels()),
        ('{"id_token":{"acr":null,"auth_time":{"essential":true}}}', AskedLevels()),
        ('{"id_token":{"acr":{"essential":true}}}', AskedLevels()),
        ('{"id_token":{"acr":{"value":"phr"}}}', AskedLevels(acr_values=("phr",))),
        (
            '{"id_token":{"acr":{"essential":true,"values":["phr","urn:stepup:acr:1"]}}}',
            AskedLevels(acr_values=("phr", "urn:stepup:acr:1"), essential=True),
        ),
        ('{"userinfo":{"email":{"essential":true}},"id_token":{"name":null}}', AskedLevels()),
        ('{"new_place":{"acr":{"essential":true,"value":"phr"}}}', AskedLevels()),
    ],
)
def test_core_5_5_claims_say_which_acr_is_wanted(text: str | None, levels: AskedLevels):
    assert read_claims(text) == levels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "phr",
        "[]",
        '{"id_token":[]}',
        '{"id_token":{"acr":"phr"}}',
        '{"id_token":{"acr":{"value":7}}}',
        '{"id_token":{"acr":{"values":"phr"}}}',
        '{"id_token":{"acr":{"values":["phr",7]}}}',
        '{"id_token":{"acr":{"essential":"true"}}}',
        '{"id_token":{"auth_time":true}}',
        '{"id_token":{"acr":{"value":"phr","values":["phr"]}}}',
        '{"userinfo":7}',
        "[" * 100_000,
        '{"x":"' + "x" * 8192 + '"}',
    ],
)
def test_core_5_5_malformed_claims_are_refused(text: str):
    with pytest.raises(InvalidRequestError):
        read_claims(text)


@given(st.text())
def test_no_text_makes_the_reader_of_claims_fail_otherwise(text: str):
    try:
        read_claims(text)
    except InvalidRequestError:
        return


def test_core_5_5_1_1_both_ways_to_ask_are_intersected_in_the_order_of_acr_values():
    claims = AskedLevels(acr_values=("a", "b", "c"), essential=True)

    agreed = agreed_levels(("c", "x", "a"), claims)
    assert agreed == AskedLevels(acr_values=("c", "a"), essential=True)


def test_core_5_5_1_1_nothing_in_common_cannot_be_met():
    with pytest.raises(UnmetRequirementError):
        agreed_levels((LOW,), AskedLevels(acr_values=(HIGH,), essential=True))
