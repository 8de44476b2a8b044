"""What an authorization request says, parameter by parameter; nothing here knows who asks.

A parameter that we do not know is ignored (RFC 6749 section 3.1); one that we know and cannot read
is refused, because its sender relies on it.
"""

import re
from collections.abc import Mapping

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.authorization import ResponseMode
from stepup.domain.errors import InvalidRequestError, InvalidScopeError

# FAPI 2.0 section 5.3.2.2 wants 64 characters accepted; both come back in answers and are kept.
MAX_NONCE = 512
MAX_STATE = 2048
# More levels than any ladder has.
MAX_ACR_VALUES = 32

PROMPTS = frozenset({"none", "login", "consent", "select_account"})

# RFC 7636 section 4.2: base64url of a SHA-256, always 43 characters; so is a thumbprint (RFC 7638).
_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class AuthorizationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters that we know, as they were sent."""

    response_type: str | None = None
    client_id: str | None = None
    redirect_uri: str | None = None
    response_mode: str | None = None
    state: str | None = None
    nonce: str | None = None
    scope: str | None = None
    resource: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    acr_values: str | None = None
    claims: str | None = None
    authorization_details: str | None = None
    step_up_ticket: str | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    subject_token: str | None = None
    subject_token_type: str | None = None
    ui_locales: str | None = None
    dpop_jkt: str | None = None
    request: str | None = None
    request_uri: str | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "AuthorizationRequest":
        """Take the parameters that we know from a form or a query."""
        return cls(**{name: parameters[name] for name in PARAMETERS if name in parameters})

    def __repr__(self) -> str:
        return f"AuthorizationRequest({self.redirect_uri})"


PARAMETERS = AuthorizationRequest.__struct_fields__
"""The names of all parameters that we know."""


def read_code_challenge(text: str) -> str:
    """Refuse what no code verifier could ever answer: its code would be good for nothing.

    Raises:
        InvalidRequestError: If it is not the base64url text of a SHA-256.
    """
    if not _CODE_CHALLENGE.fullmatch(text):
        raise InvalidRequestError("code_challenge is malformed.")
    return text


def read_dpop_jkt(text: str | None) -> str | None:
    """Refuse what is no thumbprint of a key: no proof could ever fit it (RFC 9449 section 10).

    Raises:
        InvalidRequestError: If it is not the base64url text of a SHA-256.
    """
    if text is not None and not _CODE_CHALLENGE.fullmatch(text):
        raise InvalidRequestError("dpop_jkt is malformed.")
    return text


def read_scope(text: str | None) -> str | None:
    """Check the characters of a scope (RFC 6749 section 3.3).

    Raises:
        InvalidScopeError: If it has others.
    """
    if text is not None and not _SCOPE.fullmatch(text):
        raise InvalidScopeError
    return text


def read_state(text: str | None) -> str | None:
    """Check the length of what the client wants back.

    Raises:
        InvalidRequestError: If it is more than any client needs.
    """
    return _bounded("state", text, MAX_STATE)


def read_nonce(text: str | None) -> str | None:
    """Check the length of what ties an ID token to its request.

    Raises:
        InvalidRequestError: If it is more than any client needs.
    """
    return _bounded("nonce", text, MAX_NONCE)


def read_response_mode(text: str | None) -> ResponseMode:
    """Read how the answer comes back; the code flow's own way is the query.

    Raises:
        InvalidRequestError: If it is another way than those we know.
    """
    if text is None:
        return ResponseMode.QUERY
    try:
        return ResponseMode(text)
    except ValueError:
        raise InvalidRequestError("response_mode must be query or form_post.") from None


def read_max_age(text: str | None) -> int | None:
    """Read a number of seconds, of which 0 is one (OpenID Connect Core section 3.1.2.1).

    Raises:
        InvalidRequestError: If it is no whole number of seconds.
    """
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise InvalidRequestError("max_age must be a whole number of seconds.")
    return int(text)


def read_prompt(text: str | None) -> frozenset[str]:
    """Read what the subject must, or must not, be shown (OpenID Connect Core section 3.1.2.1).

    Raises:
        InvalidRequestError: If a value is unknown, or `none` does not stand alone.
    """
    values = frozenset((text or "").split(" ")) - {""}
    if not values <= PROMPTS:
        raise InvalidRequestError("prompt has a value that is not supported.")
    if "none" in values and len(values) > 1:
        raise InvalidRequestError("prompt=none stands alone.")
    return values


def read_acr_values(text: str | None) -> tuple[Acr, ...]:
    """Read levels in order of preference (OpenID Connect Core section 3.1.2.1).

    Raises:
        InvalidRequestError: If there are more than anybody could mean.
    """
    values = tuple(dict.fromkeys(Acr(value) for value in (text or "").split(" ") if value))
    if len(values) > MAX_ACR_VALUES:
        raise InvalidRequestError("acr_values has too many values.")
    return values


def _bounded(name: str, text: str | None, limit: int) -> str | None:
    if text is not None and len(text) > limit:
        raise InvalidRequestError(f"{name} has more than {limit} characters.")
    return text
