"""What a browser brings back to the client: a code or an error, and how it gets there."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec

from stepup.domain.authorization import Authorization
from stepup.domain.checked_request import ResponseTarget


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization response, complete with `state` and `iss` (RFC 9207 section 2)."""

    target: ResponseTarget
    parameters: Mapping[str, str]

    @property
    def url(self) -> str:
        """The redirect URI with the answer in its query (RFC 6749 section 4.1.2)."""
        uri = self.target.redirect_uri
        return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(self.parameters)}"

    def __repr__(self) -> str:
        return f"Answer({self.target.redirect_uri})"


def answer_to(target: ResponseTarget, issuer: str, **parameters: str) -> Answer:
    """Complete an answer: every one names its issuer, errors too (RFC 9207 section 2)."""
    state = {} if target.state is None else {"state": target.state}
    return Answer(target=target, parameters={**parameters, **state, "iss": issuer})


def target_of(authorization: Authorization) -> ResponseTarget | None:
    """Return where the answer to a request goes; None when its client has its own screens."""
    if authorization.redirect_uri is None:
        return None
    return ResponseTarget(
        redirect_uri=authorization.redirect_uri,
        response_mode=authorization.response_mode,
        state=authorization.state,
    )
