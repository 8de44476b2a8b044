"""FAPI 2.0 Security Profile: what a client of `Profile.FAPI2` must do beyond any other.

Each rule is asked where it bites; what everybody gets here anyway is not a rule of the profile:

| section | what | where |
|---|---|---|
| 5.3.2.1, 3 and 6 | confidential, by key or certificate | `client_authentication.is_accepted` |
| 5.3.2.1, 4 and 5 | tokens are bound to a key | `must_be_bound` |
| 5.3.2.1, 8 | the issuer is the audience of assertions, as text | `usecases/client_authentication.py` |
| 5.3.2.1, 10 | refresh tokens are not rotated, so there are none | `may_rotate` |
| 5.3.2.1, 11 | a code lives at most 60 s | `authorization.CODE_LIFETIME`, for everybody |
| 5.3.2.1, 12 | a code is bound to its DPoP key | `Authorization.dpop_jkt`, for everybody |
| 5.3.2.2, 1, 5 and 8 | `response_type=code`, S256, `iss` | `usecases/requests.py`, for everybody |
| 5.3.2.2, 2 to 4 | requests are pushed by who authenticates | `must_push` |
| 5.3.2.2, 9 | nothing is sent back over http | `may_return_to` |
| 5.3.2.2, 12 | a pushed request lives less than 600 s | `authorization.REQUEST_URI_LIFETIME`, for everybody |
| 5.4.1 | PS256, ES256 or EdDSA, from both sides | `ALGORITHMS` |
"""

import re

from stepup.domain.client_authentication import Profile

ALGORITHMS = ("ES256", "PS256", "EdDSA")
"""With what such a client signs, and what is made for it is signed (section 5.4.1)."""

# A native application on its own machine is the exception (section 5.3.2.2, number 9).
_HTTP = re.compile(r"http:(?!//(127\.0\.0\.1|\[::1\])(:\d{1,5})?(/|$))", re.ASCII | re.IGNORECASE)


def must_push(profile: Profile) -> bool:
    """Say whether every request has to be pushed, whatever else is configured."""
    return profile is Profile.FAPI2


def must_be_bound(profile: Profile) -> bool:
    """Say whether no token is given out that anybody could use who finds it."""
    return profile is Profile.FAPI2


def may_rotate(profile: Profile) -> bool:
    """Say whether a client may have refresh tokens, which are rotated here."""
    return profile is not Profile.FAPI2


def may_return_to(profile: Profile, redirect_uri: str) -> bool:
    """Say whether an answer may be sent to a redirect URI."""
    return profile is not Profile.FAPI2 or _HTTP.match(redirect_uri) is None


def may_sign_with(profile: Profile, algorithm: str) -> bool:
    """Say whether something that is signed with an algorithm may be given to, or taken from it."""
    return profile is not Profile.FAPI2 or algorithm in ALGORITHMS
